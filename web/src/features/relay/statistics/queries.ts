/** Reads of what calls add up to, and of single calls. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import type { Page } from "@/api/types";
import type { RecordedCall, Statistics } from "@/features/operations/types";
import type { Grouping, StatisticsFilter } from "./filter";

const PAGE = 30;

function narrowed({ period, channel, model, user, key }: StatisticsFilter) {
  return {
    ...period,
    ...(channel === undefined ? {} : { channel }),
    ...(model === undefined ? {} : { model }),
    ...(user === undefined ? {} : { user }),
    ...(key === undefined ? {} : { key }),
  };
}

export function statisticsQuery(filter: StatisticsFilter, by: Grouping) {
  const query = { ...narrowed(filter), group_by: by };
  return queryOptions({
    queryKey: ["operations", "statistics", query] as const,
    staleTime: 0,
    queryFn: ({ signal }): Promise<Statistics> => unwrap(api.GET("/api/v1/admin/statistics", { params: { query }, signal })),
    placeholderData: keepPreviousData,
  });
}

/** The same of one's own calls alone. */
export function ownStatisticsQuery(filter: StatisticsFilter, by: Grouping) {
  const query = { ...narrowed(filter), group_by: by };
  return queryOptions({
    queryKey: ["usage", query] as const,
    staleTime: 0,
    queryFn: ({ signal }): Promise<Statistics> => unwrap(api.GET("/api/v1/statistics", { params: { query }, signal })),
    placeholderData: keepPreviousData,
  });
}

export function statisticsCsv(filter: StatisticsFilter): Promise<Blob> {
  const query = { ...narrowed(filter), group_by: filter.by };
  return unwrap<Blob>(api.GET("/api/v1/admin/statistics.csv", { params: { query }, parseAs: "blob" }));
}

/** The last to end first. */
export function callsQuery(filter: StatisticsFilter) {
  const { outcome, code } = filter;
  const query = { ...narrowed(filter), ...(outcome === undefined ? {} : { outcome }), ...(code === undefined ? {} : { code }), limit: PAGE };
  return infiniteQueryOptions({
    queryKey: ["operations", "calls", query] as const,
    staleTime: 0,
    queryFn: ({ pageParam, signal }): Promise<Page<RecordedCall>> =>
      unwrap(api.GET("/api/v1/admin/calls", { params: { query: { ...query, ...(pageParam === null ? {} : { cursor: pageParam }) } }, signal })),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? null,
    placeholderData: keepPreviousData,
  });
}
