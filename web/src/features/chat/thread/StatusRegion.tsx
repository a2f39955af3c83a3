/** What a screen reader hears: that a reply has begun, and the whole of it once. Never the pieces. */
import { useEffect, useRef, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { isUnfinished, type Message } from "@/api/types";

export function StatusRegion({ message }: { message: Message | undefined }): ReactNode {
  const { t } = useTranslation();
  const [text, setText] = useState("");
  const watched = useRef<string | null>(null);
  useEffect(() => {
    if (message === undefined || message.role !== "assistant") return;
    if (isUnfinished(message.status)) {
      if (watched.current !== message.id) setText(t("thread.announceStart"));
      watched.current = message.id;
      return;
    }
    if (watched.current !== message.id) return;
    watched.current = null;
    if (message.status === "failed") setText(t("thread.announceFailed"));
    else setText(t("thread.announceReply", { text: message.content }));
  }, [message, t]);
  return (
    <div role="status" className="sr-only">
      {text}
    </div>
  );
}
