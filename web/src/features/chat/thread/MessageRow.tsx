import { memo, type ReactNode } from "react";
import type { Message } from "@/api/types";
import { AssistantMessage } from "./AssistantMessage";
import { UserMessage } from "./UserMessage";

interface Props {
  message: Message;
  /** The last of the branch: its tools are always shown. */
  latest: boolean;
  onBranch: (messageId: string) => void;
}

export const MessageRow = memo(
  function MessageRow({ message, latest, onBranch }: Props): ReactNode {
    return message.role === "user" ? (
      <UserMessage message={message} onBranch={onBranch} />
    ) : (
      <AssistantMessage message={message} latest={latest} onBranch={onBranch} />
    );
  },
  (before, after) => before.message === after.message && before.latest === after.latest,
);
