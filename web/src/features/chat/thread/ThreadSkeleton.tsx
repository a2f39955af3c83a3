import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

const LINES = ["94%", "88%", "97%", "61%"];

/** The shape of an exchange while it is fetched. */
export function ThreadSkeleton(): ReactNode {
  const { t } = useTranslation();
  return (
    <div className="flex flex-col gap-8 pt-6" role="status" aria-label={t("common.loading")}>
      <div className="skeleton h-11 w-2/5 self-end rounded-3xl" />
      <div className="flex flex-col gap-3.5">
        {LINES.map((width) => (
          <div key={width} className="skeleton h-3.5" style={{ width }} />
        ))}
      </div>
    </div>
  );
}
