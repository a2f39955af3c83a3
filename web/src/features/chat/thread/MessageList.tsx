/**
 * Long threads as a window on their rows. The last exchanges stand outside of it: a row changes with every frame while
 * its reply is written, and the window must not be measured again each time.
 */
import { useEffect, useRef, type ReactNode, type RefObject } from "react";
import { useTranslation } from "react-i18next";
import { Virtualizer } from "virtua";
import type { Message } from "@/api/types";
import { MessageRow } from "./MessageRow";

/** Rows outside of the window at first, */
const TAIL = 2;
/** and at most: those that are added stay where they are, since moving a row into the window makes it jump. */
const TAIL_MAX = 8;
/** Long rows cost every frame something, so that they are moved all the same: characters before the last exchange. */
const TAIL_MAX_LENGTH = 4_000;
/** Height of what stands above the window. */
const HEAD_PX = 24;

interface Props {
  scroller: RefObject<HTMLDivElement | null>;
  messages: readonly Message[];
  /** Whether older messages are still to be fetched. */
  more: boolean;
  onBranch: (messageId: string) => void;
  /** The window has measured rows anew. */
  onResize: () => void;
}

export function MessageList({ scroller, messages, more, onBranch, onResize }: Props): ReactNode {
  const { t } = useTranslation();
  const start = useTailStart(messages);
  const older = messages.slice(0, start);
  const tail = messages.slice(start);
  const shift = usePrepended(older);
  const row = (message: Message): ReactNode => (
    <MessageRow key={message.id} message={message} latest={message === messages.at(-1)} onBranch={onBranch} />
  );
  return (
    <section aria-label={t("thread.messages")}>
      <div style={{ height: HEAD_PX }} className="text-muted text-center text-sm">
        {more && messages.length > 0 && t("thread.loadingOlder")}
      </div>
      <Virtualizer scrollRef={scroller} startMargin={HEAD_PX} shift={shift} onResize={onResize}>
        {older.map(row)}
      </Virtualizer>
      {tail.map(row)}
    </section>
  );
}

/** The first row outside of the window: the same one for as long as there are not too many after it. */
function useTailStart(messages: readonly Message[]): number {
  const anchor = useRef<string | undefined>(undefined);
  // Read, not written, in rendering: the rows must not be moved and then moved back.
  // oxlint-disable-next-line react/refs
  const known = messages.findIndex((message) => message.id === anchor.current);
  const count = messages.length - known;
  const length = messages.slice(Math.max(0, known), -TAIL).reduce((sum, message) => sum + message.content.length, 0);
  const keeps = known >= 0 && count >= TAIL && count <= TAIL_MAX && length <= TAIL_MAX_LENGTH;
  const start = keeps ? known : Math.max(0, messages.length - TAIL);
  const id = messages[start]?.id;
  useEffect(() => {
    anchor.current = id;
  }, [id]);
  return start;
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
