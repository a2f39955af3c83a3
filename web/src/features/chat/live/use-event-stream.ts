/** Connects the event stream to the live replies and the query cache for as long as the chat is on screen. */
import { useEffect } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { useConnection } from "./connection";
import { isReplyFrame, type Frame } from "./frames";
import { Hints } from "./hints";
import { liveReplies } from "./replies";
import { EventStream } from "./stream";

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
  else hints.positions(frame);
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
      hints.close();
      liveReplies.clear();
      useConnection.setState({ state: "connecting", everOpen: false });
    };
  }, [client]);
}
