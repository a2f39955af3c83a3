/** Reads of the operators' screens. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import type { LedgerEntry, Page } from "@/api/types";
import type { Account, LoggedEvent } from "./types";

const PAGE = 50;
/** No hint tells operators what others do: whoever comes back to a section asks anew, and sees the known rows meanwhile. */
const STALE_MS = 0;
export const PROJECTIONS_POLL_MS = 3_000;

export const operatorKeys = {
  channels: ["operations", "channels"] as const,
  users: ["operations", "users"] as const,
  user: (id: string) => ["operations", "users", "one", id] as const,
  ledger: (id: string) => ["operations", "users", "ledger", id] as const,
  events: ["operations", "events"] as const,
  projections: ["operations", "projections"] as const,
};

/** All of them, oldest first: the first enabled one that offers a model serves it. They are few: there is one page. */
export function channelsQuery() {
  return queryOptions({
    queryKey: operatorKeys.channels,
    staleTime: STALE_MS,
    queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/admin/channels", { signal }))).items,
  });
}

export function usersQuery(search: string) {
  return infiniteQueryOptions({
    queryKey: [...operatorKeys.users, "list", search] as const,
    staleTime: STALE_MS,
    queryFn: ({ pageParam, signal }): Promise<Page<Account>> => {
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
    staleTime: STALE_MS,
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/admin/users/{id}", { params: { path: { id } }, signal })),
  });
}

export function ledgerQuery(id: string) {
  return infiniteQueryOptions({
    queryKey: operatorKeys.ledger(id),
    staleTime: STALE_MS,
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

/** Newest first. A page may be empty and still lead on: one look goes only so far back for a rare event. */
export function eventsQuery({ type, id, event }: EventFilter) {
  const filter = {
    ...(type ? { aggregate_type: type } : {}),
    ...(id ? { aggregate_id: id } : {}),
    ...(event ? { event_type: event } : {}),
  };
  return infiniteQueryOptions({
    queryKey: [...operatorKeys.events, filter] as const,
    staleTime: STALE_MS,
    queryFn: ({ pageParam, signal }): Promise<Page<LoggedEvent>> => {
      const query = { ...filter, limit: PAGE, ...(pageParam === null ? {} : { cursor: pageParam }) };
      return unwrap(api.GET("/api/v1/admin/events", { params: { query }, signal }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? null,
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
    staleTime: STALE_MS,
  });
}
