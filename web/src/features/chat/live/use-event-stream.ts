/** Connects the event stream to the live replies and the query cache for as long as the chat is on screen. */
import { useEffect } from "react";
import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { messageKeys, sessionKeys } from "../queries";
import { useConnection } from "./connection";
import { isReplyFrame, type Frame } from "./frames";
import { liveReplies } from "./replies";
import { EventStream } from "./stream";

/** Applies hints; remembers how far it has heard so that a jump in `positions` is noticed. */
export class Hints {
  #heard = 0;
  constructor(private readonly client: QueryClient) {}

  changed(topic: string, sessionId: string | null, position: number): void {
    this.#heard = Math.max(this.#heard, position);
    void this.client.invalidateQueries({ queryKey: sessionKeys.all });
    if (topic === "messages") {
      void this.client.invalidateQueries({ queryKey: sessionId === null ? messageKeys.all : messageKeys.of(sessionId) });
    }
  }

  positions(chat: number): void {
    const first = this.#heard === 0;
    const jumped = chat > this.#heard;
    this.#heard = Math.max(this.#heard, chat);
    if (jumped && !first) this.everything();
  }

  /** After a gap in which hints may have been lost. */
  everything(): void {
    void this.client.invalidateQueries({ queryKey: sessionKeys.all });
    void this.client.invalidateQueries({ queryKey: messageKeys.all });
  }
}

function take(frame: Frame, hints: Hints): "resume" | void {
  if (isReplyFrame(frame)) {
    const isNew = !liveReplies.has(frame.message_id) && frame.type !== "done";
    const applied = liveReplies.apply(frame);
    if (applied === "gap") return "resume";
    if (frame.type === "done" || (isNew && applied === "applied")) {
      hints.changed("messages", frame.session_id, 0);
    }
    return;
  }
  if (frame.type === "changed") hints.changed(frame.topic, frame.session_id, frame.position);
  else hints.positions(frame.chat_v1 ?? 0);
}

export function useEventStream(): void {
  const client = useQueryClient();
  useEffect(() => {
    const hints = new Hints(client);
    const stream = new EventStream({
      cursors: () => liveReplies.cursors(),
      frame: (frame) => take(frame, hints),
      connection: (state) => {
        const { everOpen } = useConnection.getState();
        if (state === "open" && everOpen) hints.everything();
        useConnection.setState({ state, everOpen: everOpen || state === "open" });
      },
    });
    stream.start();
    return () => {
      stream.stop();
      liveReplies.clear();
      useConnection.setState({ state: "connecting", everOpen: false });
    };
  }, [client]);
}
