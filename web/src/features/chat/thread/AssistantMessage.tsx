/** An answer: its text (live while it is written), how it ended, and what can be done with it. */
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { isUnfinished, type Message } from "@/api/types";
import { useConnection } from "../live/connection";
import { useLiveReply, type LiveReply } from "../live/replies";
import { AnswerText } from "./AnswerText";
import { AnswerTools } from "./AnswerTools";
import { FailedReply } from "./FailedReply";
import { SiblingSwitcher } from "./SiblingSwitcher";

interface Props {
  message: Message;
  latest: boolean;
  onBranch: (messageId: string) => void;
}

export function AssistantMessage({ message, latest, onBranch }: Props): ReactNode {
  const { t } = useTranslation();
  const unfinished = isUnfinished(message.status);
  // Only the row that is being written hears of new text.
  const live = useLiveReply(message.id, unfinished);
  const text = unfinished ? (live?.text ?? message.content) : message.content;
  const growing = unfinished && live?.end == null;
  return (
    <article aria-busy={growing} className="group relative pt-1" data-role="assistant" data-id={message.id} data-status={message.status}>
      <h2 className="sr-only">{t("thread.assistant")}</h2>
      {text !== "" && <AnswerText text={text} growing={growing} />}
      {growing && <Progress empty={text === ""} live={live} status={message.status} />}
      {!unfinished && message.status === "stopped" && <p className="text-muted mt-2 text-sm">{t("thread.stopped")}</p>}
      {!unfinished && message.finish_reason === "length" && <p className="text-muted mt-2 text-sm">{t("thread.cutOff")}</p>}
      {!unfinished && message.status === "failed" && <FailedReply message={message} onBranch={onBranch} />}
      {unfinished && message.siblings.length > 1 && (
        <div className="message-tools" data-always>
          <SiblingSwitcher message={message} onBranch={onBranch} />
        </div>
      )}
      {!unfinished && <AnswerTools message={message} latest={latest} onBranch={onBranch} />}
    </article>
  );
}

/** What the reader is waiting for while no text moves. */
function Progress({ empty, live, status }: { empty: boolean; live: LiveReply | undefined; status: Message["status"] }): ReactNode {
  const { t } = useTranslation();
  const connected = useConnection((state) => state.state === "open");
  const again = (live?.attempt ?? 1) > 1 && empty;
  const resuming = !connected || (live === undefined && status === "streaming");
  const text = resuming ? t("thread.resuming") : again ? t("thread.again") : t("thread.thinking");
  if (!empty && !resuming) return null;
  return (
    <p className="text-muted flex items-center gap-2.5 py-1 text-sm">
      <span aria-hidden className="pulse-dot" />
      {text}
    </p>
  );
}
