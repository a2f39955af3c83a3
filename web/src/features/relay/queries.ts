/** Reads of the operators' screens about groups, prices and the history of channels. */
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import type { Page } from "@/api/types";
import type { ChannelChange, ChannelHealth, Group, PriceList } from "@/features/operations/types";

const PAGE = 30;

export const relayKeys = {
  groups: ["operations", "groups"] as const,
  health: ["operations", "health"] as const,
  prices: ["operations", "prices"] as const,
  history: (channel: string) => ["operations", "channels", "history", channel] as const,
};

/** They are few: there is one page. */
export function groupsQuery() {
  return queryOptions({
    queryKey: relayKeys.groups,
    staleTime: 0,
    queryFn: async ({ signal }): Promise<Group[]> => (await unwrap(api.GET("/api/v1/admin/groups", { signal }))).items,
  });
}

/** What rests changes by itself: it is asked for again while the tab is seen. */
export const HEALTH_POLL_MS = 5_000;

/** What takes no or few calls now, of all channels. */
export function healthQuery() {
  return queryOptions({
    queryKey: relayKeys.health,
    staleTime: 0,
    refetchInterval: HEALTH_POLL_MS,
    refetchIntervalInBackground: false,
    queryFn: async ({ signal }): Promise<ChannelHealth[]> => (await unwrap(api.GET("/api/v1/admin/channels/health", { signal }))).items,
  });
}

/** The public price list that comes with the server: another one comes with another server. */
export function publicPricesQuery() {
  return queryOptions({
    queryKey: relayKeys.prices,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: ({ signal }): Promise<PriceList> => unwrap(api.GET("/api/v1/admin/prices", { signal })),
  });
}

/** Newest first. */
export function historyQuery(id: string) {
  return infiniteQueryOptions({
    queryKey: relayKeys.history(id),
    staleTime: 0,
    queryFn: ({ pageParam, signal }): Promise<Page<ChannelChange>> => {
      const query = { limit: PAGE, ...(pageParam === null ? {} : { cursor: pageParam }) };
      return unwrap(api.GET("/api/v1/admin/channels/{id}/history", { params: { path: { id }, query }, signal }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? null,
  });
}
