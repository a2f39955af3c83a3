/**
 * Long threads as a window on their rows. The last exchange stands outside of it: its row changes with every frame
 * while a reply is written, and the window must not be measured again each time.
 */
import { useEffect, useRef, type ReactNode, type RefObject } from "react";
import { useTranslation } from "react-i18next";
import { Virtualizer } from "virtua";
import type { Message } from "@/api/types";
import { MessageRow } from "./MessageRow";

const TAIL = 2;
/** Height of what stands above the window. */
const HEAD_PX = 24;

interface Props {
  scroller: RefObject<HTMLDivElement | null>;
  messages: readonly Message[];
  /** Whether older messages are still to be fetched. */
  more: boolean;
  onBranch: (messageId: string) => void;
}

export function MessageList({ scroller, messages, more, onBranch }: Props): ReactNode {
  const { t } = useTranslation();
  const older = messages.slice(0, -TAIL);
  const tail = messages.slice(-TAIL);
  const shift = usePrepended(older);
  const row = (message: Message): ReactNode => (
    <MessageRow key={message.id} message={message} latest={message === messages.at(-1)} onBranch={onBranch} />
  );
  return (
    <section aria-label={t("thread.messages")}>
      <div style={{ height: HEAD_PX }} className="text-muted text-center text-sm">
        {more && messages.length > 0 && t("thread.loadingOlder")}
      </div>
      <Virtualizer scrollRef={scroller} startMargin={HEAD_PX} shift={shift}>
        {older.map(row)}
      </Virtualizer>
      {tail.map(row)}
    </section>
  );
}

/** Whether this render adds rows before the known ones; their position must then be kept from the end. */
function usePrepended(rows: readonly Message[]): boolean {
  const known = useRef<{ first: string | undefined; last: string | undefined }>({ first: undefined, last: undefined });
  const first = rows[0]?.id;
  const last = rows.at(-1)?.id;
  // Read, not written, in rendering: the window must know in the very render that brings the new rows.
  // oxlint-disable-next-line react/refs
  const prepended = known.current.first !== undefined && known.current.first !== first && known.current.last === last;
  useEffect(() => {
    known.current = { first, last };
  }, [first, last]);
  return prepended;
}
