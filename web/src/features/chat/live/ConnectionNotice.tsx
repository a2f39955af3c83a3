import { useEffect, useState, type ReactNode } from "react";
import { WifiOff } from "lucide-react";
import { useTranslation } from "react-i18next";
import { useConnection } from "./connection";

/** A blink of the connection is nobody's business. */
const PATIENCE_MS = 2_500;

/** Says that live text is not arriving, once that has lasted. Nothing is lost meanwhile: the stream resumes. */
export function ConnectionNotice(): ReactNode {
  const { t } = useTranslation();
  const open = useConnection((state) => state.state === "open");
  const [late, setLate] = useState(false);
  useEffect(() => {
    setLate(false);
    if (open) return undefined;
    const timer = setTimeout(() => setLate(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [open]);
  return (
    <div role="status" className="flex justify-center">
      {late && !open && (
        <p className="connection-notice">
          <WifiOff aria-hidden className="size-3.5" />
          {t("connection.lost")}
        </p>
      )}
    </div>
  );
}
