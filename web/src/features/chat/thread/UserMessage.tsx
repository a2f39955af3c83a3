import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Message } from "@/api/types";
import { CopyButton } from "@/components/ui/CopyButton";
import { SiblingSwitcher } from "./SiblingSwitcher";

/** What was asked, exactly as it was typed. */
export function UserMessage({ message, onBranch }: { message: Message; onBranch: (id: string) => void }): ReactNode {
  const { t } = useTranslation();
  return (
    <article className="group relative flex flex-col items-end pt-4" data-role="user">
      <h2 className="sr-only">{t("thread.you")}</h2>
      <div className="bubble">{message.content}</div>
      <div className="message-tools">
        <SiblingSwitcher message={message} onBranch={onBranch} />
        <CopyButton text={message.content} label={t("thread.copy")} />
      </div>
    </article>
  );
}
