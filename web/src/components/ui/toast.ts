/** Short notes at the edge of the page. The library is fetched beside the page, not before it. */
import type { ComponentType } from "react";
import type { ExternalToast, ToasterProps } from "sonner";

const library = () => import("sonner");

/** For `React.lazy`: where the notes appear. Without the library there are none, and the page still works. */
export const loadToaster = (): Promise<{ default: ComponentType<ToasterProps> }> =>
  library().then(
    ({ Toaster }) => ({ default: Toaster as ComponentType<ToasterProps> }),
    () => ({ default: () => null }),
  );

export function notify(text: string, options?: ExternalToast): void {
  library().then(({ toast }) => toast(text, options)).catch(() => undefined);
}

export function notifyError(text: string): void {
  library().then(({ toast }) => toast.error(text)).catch(() => undefined);
}
