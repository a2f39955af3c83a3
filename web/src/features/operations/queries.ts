/** Reads of the operators' screens. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { unwrap } from "@/api/client";
import type { Page } from "@/api/types";
import { api, type Channel, type EventRow, type LedgerEntry, type UserRow } from "./wire";

const PAGE = 50;
/** Channels are read whole: the models of all of them are compared. A server has few; this many pages at most. */
const CHANNEL_PAGE = 100;
const CHANNEL_PAGES = 20;
export const PROJECTIONS_POLL_MS = 3_000;

export const operatorKeys = {
  channels: ["operations", "channels"] as const,
  users: ["operations", "users"] as const,
  user: (id: string) => ["operations", "users", "one", id] as const,
  ledger: (id: string) => ["operations", "users", "ledger", id] as const,
  events: ["operations", "events"] as const,
  projections: ["operations", "projections"] as const,
};

async function allChannels(signal: AbortSignal): Promise<Channel[]> {
  const channels: Channel[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < CHANNEL_PAGES; page += 1) {
    const query: { limit: number; cursor?: string } = { limit: CHANNEL_PAGE, ...(cursor === null ? {} : { cursor }) };
    const answer: Page<Channel> = await unwrap(api.GET("/api/v1/admin/channels", { params: { query }, signal }));
    channels.push(...answer.items);
    cursor = answer.next_cursor ?? null;
    if (cursor === null) break;
  }
  // The first enabled channel by age serves a model: that is the order that explains itself.
  return channels.sort((one, other) => one.created_at.localeCompare(other.created_at));
}

export function channelsQuery() {
  return queryOptions({ queryKey: operatorKeys.channels, queryFn: ({ signal }) => allChannels(signal) });
}

export function usersQuery(search: string) {
  return infiniteQueryOptions({
    queryKey: [...operatorKeys.users, "list", search] as const,
    queryFn: ({ pageParam, signal }): Promise<Page<UserRow>> => {
      const query = { limit: PAGE, ...(search === "" ? {} : { query: search }), ...(pageParam === null ? {} : { cursor: pageParam }) };
      return unwrap(api.GET("/api/v1/admin/users", { params: { query }, signal }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? null,
    placeholderData: keepPreviousData,
  });
}

export function userQuery(id: string) {
  return queryOptions({
    queryKey: operatorKeys.user(id),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/admin/users/{id}", { params: { path: { id } }, signal })),
  });
}

export function ledgerQuery(id: string) {
  return infiniteQueryOptions({
    queryKey: operatorKeys.ledger(id),
    queryFn: ({ pageParam, signal }): Promise<Page<LedgerEntry>> => {
      const query = { limit: PAGE, ...(pageParam === null ? {} : { cursor: pageParam }) };
      return unwrap(api.GET("/api/v1/admin/users/{id}/ledger", { params: { path: { id }, query }, signal }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? null,
  });
}

export interface EventFilter {
  type?: string | undefined;
  id?: string | undefined;
  event?: string | undefined;
}

/** Newest first; a further page is asked for by the position before which it ends. */
export function eventsQuery({ type, id, event }: EventFilter) {
  const filter = {
    ...(type ? { aggregate_type: type } : {}),
    ...(id ? { aggregate_id: id } : {}),
    ...(event ? { event_type: event } : {}),
  };
  return infiniteQueryOptions({
    queryKey: [...operatorKeys.events, filter] as const,
    queryFn: ({ pageParam, signal }): Promise<Page<EventRow>> => {
      const query = { ...filter, limit: PAGE, ...(pageParam === null ? {} : { before: pageParam }) };
      return unwrap(api.GET("/api/v1/admin/events", { params: { query }, signal }));
    },
    initialPageParam: null as number | null,
    getNextPageParam: (page) => (page.next_cursor == null ? null : (page.items.at(-1)?.position ?? null)),
    placeholderData: keepPreviousData,
  });
}

/** Refreshes by itself; a hidden tab asks for nothing. */
export function projectionsQuery() {
  return queryOptions({
    queryKey: operatorKeys.projections,
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/admin/projections", { signal })),
    refetchInterval: PROJECTIONS_POLL_MS,
    refetchIntervalInBackground: false,
    staleTime: 0,
  });
}
