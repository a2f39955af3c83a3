/** All conversations, newest first, under date headings; further pages come as the reader scrolls. */
import { useMemo, useRef, type ReactNode } from "react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { MessageCircle } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Virtualizer, type VirtualizerHandle } from "virtua";
import { Button } from "@/components/ui/Button";
import { Notice } from "@/components/ui/Notice";
import { errorText } from "@/i18n/problems";
import { sessionsQuery } from "../queries";
import { withHeadings } from "./date-groups";
import { SessionItem } from "./SessionItem";

/** The next page is fetched when this many pixels are left below. */
const AHEAD_PX = 600;

export function SessionList({ currentId }: { currentId: string | null }): ReactNode {
  const { t } = useTranslation();
  const scroller = useRef<HTMLDivElement>(null);
  const list = useRef<VirtualizerHandle>(null);
  const { data, error, refetch, hasNextPage, isFetchingNextPage, fetchNextPage } = useInfiniteQuery(sessionsQuery());
  const rows = useMemo(() => withHeadings(data?.pages.flatMap((page) => page.items) ?? []), [data]);

  const onScroll = (): void => {
    const box = scroller.current;
    if (box === null || !hasNextPage || isFetchingNextPage) return;
    if (box.scrollHeight - box.scrollTop - box.clientHeight < AHEAD_PX) void fetchNextPage();
  };

  if (data === undefined && error !== null) {
    return (
      <div className="p-3">
        <Notice text={errorText(t, error)}>
          <Button size="small" onClick={() => void refetch()}>
            {t("common.tryAgain")}
          </Button>
        </Notice>
      </div>
    );
  }
  if (data === undefined) return <Skeleton />;
  if (rows.length === 0) return <Empty />;
  return (
    <div ref={scroller} className="scroll-thin min-h-0 flex-1 overflow-y-auto px-2 pb-4" onScroll={onScroll}>
      <Virtualizer ref={list} scrollRef={scroller} as="ul" item="li" itemSize={40}>
        {rows.map((row) =>
          row.kind === "heading" ? (
            <h2 key={row.group} className="text-muted px-3 pt-5 pb-1.5 text-xs font-medium">
              {t(`sessions.${row.group}`)}
            </h2>
          ) : (
            <SessionItem key={row.item.id} session={row.item} current={row.item.id === currentId} />
          ),
        )}
      </Virtualizer>
    </div>
  );
}

const WIDTHS = ["70%", "55%", "80%", "62%", "74%", "48%"];

function Skeleton(): ReactNode {
  const { t } = useTranslation();
  return (
    <div className="flex flex-1 flex-col gap-5 px-5 pt-7" role="status" aria-label={t("common.loading")}>
      {WIDTHS.map((width) => (
        <div key={width} className="skeleton h-3.5" style={{ width }} />
      ))}
    </div>
  );
}

function Empty(): ReactNode {
  const { t } = useTranslation();
  return (
    <div className="text-muted flex flex-1 flex-col items-center gap-3 px-8 pt-16 text-center text-sm">
      <MessageCircle aria-hidden className="size-6 opacity-70" />
      <p className="text-pretty">{t("sessions.empty")}</p>
    </div>
  );
}
