/** Reads of the chat: keys, pages and how cached pages are changed in place. */
import { infiniteQueryOptions, queryOptions, type InfiniteData, type QueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { isUnfinished, type Message, type Page, type Session } from "@/api/types";

export const SESSION_PAGE = 40;
/** The last messages come first; older ones when the reader scrolls up. */
export const MESSAGE_PAGE = 30;
/** A safety net under the event stream: an unfinished reply is asked for this often. */
const UNFINISHED_POLL_MS = 6_000;

export const sessionKeys = {
  all: ["sessions"] as const,
  list: () => ["sessions", "list"] as const,
  one: (id: string) => ["sessions", "one", id] as const,
};

export const messageKeys = {
  all: ["messages"] as const,
  of: (sessionId: string) => ["messages", sessionId] as const,
  branch: (sessionId: string, branch: string) => ["messages", sessionId, branch] as const,
};

export function sessionsQuery() {
  return infiniteQueryOptions({
    queryKey: sessionKeys.list(),
    queryFn: ({ pageParam, signal }): Promise<Page<Session>> => {
      const query = { limit: SESSION_PAGE, ...(pageParam === null ? {} : { cursor: pageParam }) };
      return unwrap(api.GET("/api/v1/sessions", { params: { query }, signal }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? null,
  });
}

export function sessionQuery(id: string) {
  return queryOptions({
    queryKey: sessionKeys.one(id),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/sessions/{id}", { params: { path: { id } }, signal })),
  });
}

/** The path from the root through message `branch` (or `latest`) to its newest leaf, newest page first. */
export function messagesQuery(sessionId: string, branch: string) {
  return infiniteQueryOptions({
    queryKey: messageKeys.branch(sessionId, branch),
    queryFn: ({ pageParam, signal }): Promise<Page<Message>> => {
      const cursor = pageParam === null ? {} : { cursor: pageParam };
      const query = { order: "desc" as const, branch, limit: MESSAGE_PAGE, ...cursor };
      return unwrap(api.GET("/api/v1/sessions/{id}/messages", { params: { path: { id: sessionId }, query }, signal }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? null,
    refetchInterval: (query) => {
      const newest = query.state.data?.pages[0]?.items[0];
      return newest !== undefined && isUnfinished(newest.status) ? UNFINISHED_POLL_MS : false;
    },
  });
}

export function modelsQuery() {
  return queryOptions({
    queryKey: ["models"] as const,
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/models", { signal })),
    staleTime: 5 * 60_000,
  });
}

/** Messages of all loaded pages, oldest first. */
export function inReadingOrder(data: InfiniteData<Page<Message>> | undefined): Message[] {
  if (data === undefined) return [];
  const seen = new Set<string>();
  const newestFirst = data.pages.flatMap((page) => page.items).filter((message) => {
    // A message that arrived between two page reads may be on both.
    const isNew = !seen.has(message.id);
    seen.add(message.id);
    return isNew;
  });
  return newestFirst.toReversed();
}

type SessionPages = InfiniteData<Page<Session>, string | null>;

/** Changes the cached session list in place; the next refetch brings the truth. */
export function patchSessions(client: QueryClient, change: (items: Session[]) => Session[]): void {
  client.setQueryData<SessionPages>(sessionKeys.list(), (data) =>
    data && { ...data, pages: data.pages.map((page) => ({ ...page, items: change(page.items) })) },
  );
}

type MessagePages = InfiniteData<Page<Message>, string | null>;

/** Adds messages that the server has accepted at the end of a cached branch, until the read model shows them. */
export function appendMessages(client: QueryClient, sessionId: string, branch: string, added: Message[]): void {
  const newestFirst = added.toReversed();
  client.setQueryData<MessagePages>(messageKeys.branch(sessionId, branch), (data) => {
    if (data === undefined) return { pages: [{ items: newestFirst, next_cursor: null }], pageParams: [null] };
    const [first, ...rest] = data.pages;
    if (first === undefined) return data;
    const known = new Set(first.items.map((message) => message.id));
    const items = [...newestFirst.filter((message) => !known.has(message.id)), ...first.items];
    return { ...data, pages: [{ ...first, items }, ...rest] };
  });
}
