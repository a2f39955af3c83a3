import type { ReactNode } from "react";
import { ChevronLeft, ChevronRight } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { Message } from "@/api/types";
import { IconButton } from "@/components/ui/IconButton";

/** ‹2/3›: the other answers to the same question (or other versions of it). Nothing when there is only one. */
export function SiblingSwitcher({ message, onBranch }: { message: Message; onBranch: (id: string) => void }): ReactNode {
  const { t } = useTranslation();
  const { siblings } = message;
  const index = siblings.indexOf(message.id);
  if (siblings.length < 2 || index < 0) return null;
  const before = siblings[index - 1];
  const after = siblings[index + 1];
  return (
    <span role="group" aria-label={t("thread.versions")} className="flex items-center">
      <IconButton
        size="tool"
        label={t("thread.previousVersion")}
        disabled={before === undefined}
        onClick={() => before !== undefined && onBranch(before)}
      >
        <ChevronLeft aria-hidden />
      </IconButton>
      <span className="text-muted min-w-8 text-center text-xs tabular-nums">
        {t("thread.version", { index: index + 1, count: siblings.length })}
      </span>
      <IconButton
        size="tool"
        label={t("thread.nextVersion")}
        disabled={after === undefined}
        onClick={() => after !== undefined && onBranch(after)}
      >
        <ChevronRight aria-hidden />
      </IconButton>
    </span>
  );
}
