/** The messages of one branch and the composer below them. */
import { useRef, type ReactNode } from "react";
import { useInfiniteQuery, useQueryClient, type InfiniteData } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { ArrowDown } from "lucide-react";
import { useTranslation } from "react-i18next";
import { isUnfinished, type Message, type Page } from "@/api/types";
import { Button } from "@/components/ui/Button";
import { IconButton } from "@/components/ui/IconButton";
import { Notice } from "@/components/ui/Notice";
import { notifyError } from "@/components/ui/toast";
import { errorText } from "@/i18n/problems";
import { Composer } from "../composer/Composer";
import { ConnectionNotice } from "../live/ConnectionNotice";
import { inReadingOrder, messagesQuery } from "../queries";
import { sendMessage, stopRun } from "../writes";
import { MessageList } from "./MessageList";
import { StatusRegion } from "./StatusRegion";
import { ThreadSkeleton } from "./ThreadSkeleton";
import { usePinnedScroll } from "./use-pinned-scroll";

/** Older messages are fetched when this many pixels are left above. */
const AHEAD_PX = 800;

type MessagePages = InfiniteData<Page<Message>, string | null>;

export function Thread({ sessionId, branch }: { sessionId: string; branch: string }): ReactNode {
  const { t } = useTranslation();
  const client = useQueryClient();
  const router = useRouter();
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const { pinned, toBottom, follow } = usePinnedScroll(scroller, content);
  const query = useInfiniteQuery({
    ...messagesQuery(sessionId, branch),
    // Switching to a sibling keeps what is on screen until the other branch is there.
    placeholderData: (before: MessagePages | undefined) => before,
  });
  const messages = inReadingOrder(query.data);
  const last = messages.at(-1);
  const running = last !== undefined && isUnfinished(last.status) ? last : null;

  const stop = (): void => {
    if (running?.run_id == null) return;
    stopRun(client, sessionId, running.run_id).catch((error: unknown) => notifyError(errorText(t, error)));
  };
  const toBranch = (messageId: string): void => {
    void router.navigate({ to: "/c/$sessionId", params: { sessionId }, search: { branch: messageId }, replace: true });
  };
  const onScroll = (): void => {
    const nearTop = (scroller.current?.scrollTop ?? AHEAD_PX) < AHEAD_PX;
    if (nearTop && query.hasNextPage && !query.isFetchingNextPage) void query.fetchNextPage();
  };

  return (
    <>
      <div ref={scroller} className="thread scroll-thin" onScroll={onScroll}>
        <div ref={content} className="mx-auto w-full max-w-[46rem] px-4 pb-6">
          {query.data === undefined && query.error === null && <ThreadSkeleton />}
          {query.data === undefined && query.error !== null && (
            <Notice text={errorText(t, query.error)}>
              <Button size="small" onClick={() => void query.refetch()}>
                {t("common.tryAgain")}
              </Button>
            </Notice>
          )}
          {query.isSuccess && messages.length === 0 && <p className="text-muted py-16 text-center">{t("thread.empty")}</p>}
          <MessageList scroller={scroller} messages={messages} more={query.hasNextPage} onBranch={toBranch} onResize={follow} />
        </div>
      </div>
      <StatusRegion message={last} />
      <div className="relative">
        {!pinned && (
          <div className="absolute -top-12 left-1/2 z-10 -translate-x-1/2">
            <IconButton label={t("thread.toLatest")} kind="outline" shape="round" className="shadow-card" onClick={toBottom}>
              <ArrowDown aria-hidden />
            </IconButton>
          </div>
        )}
        <ConnectionNotice />
      </div>
      <Composer
        place={sessionId}
        parentId={last?.role === "assistant" ? last.id : undefined}
        busy={running !== null}
        onStop={stop}
        onSend={async (message) => {
          await sendMessage(client, sessionId, branch, message);
          toBottom();
        }}
      />
    </>
  );
}
