import type { ReactNode } from "react";
import { CircleAlert } from "lucide-react";
import { useTranslation } from "react-i18next";

/** A failure: what happened, what to do, and the request id to quote to the operator. */
export function Notice({ text, requestId, children }: { text: ReactNode; requestId?: string | null; children?: ReactNode }): ReactNode {
  const { t } = useTranslation();
  return (
    <div role="alert" className="notice">
      <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0" />
      <div className="flex min-w-0 flex-1 flex-col gap-2">
        <p className="wrap-anywhere">{text}</p>
        {requestId != null && <p className="text-xs opacity-85 wrap-anywhere">{t("common.requestId", { id: requestId })}</p>}
        {children}
      </div>
    </div>
  );
}
