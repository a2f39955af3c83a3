import type { ReactNode } from "react";
import { LoaderCircle } from "lucide-react";

export function Spinner(): ReactNode {
  return <LoaderCircle aria-hidden className="animate-spin motion-reduce:animate-none" />;
}
