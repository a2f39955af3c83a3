/** Reads of the balance page. */
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import type { Charge, LedgerEntry, Page } from "@/api/types";
import { walletKeys } from "./wallet";

const CHARGE_PAGE = 20;
/** Lines, of which a movement has a few. */
const ENTRY_PAGE = 50;

export function chargesPage(cursor: string | null, limit: number, signal?: AbortSignal): Promise<Page<Charge>> {
  const query = { limit, ...(cursor === null ? {} : { cursor }) };
  return unwrap(api.GET("/api/v1/charges", { params: { query }, ...(signal === undefined ? {} : { signal }) }));
}

export function chargesQuery() {
  return infiniteQueryOptions({
    queryKey: walletKeys.charges(),
    queryFn: ({ pageParam, signal }) => chargesPage(pageParam, CHARGE_PAGE, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? null,
  });
}

export function entriesQuery() {
  return infiniteQueryOptions({
    queryKey: walletKeys.entries(),
    queryFn: ({ pageParam, signal }): Promise<Page<LedgerEntry>> => {
      const query = { limit: ENTRY_PAGE, ...(pageParam === null ? {} : { cursor: pageParam }) };
      return unwrap(api.GET("/api/v1/ledger/entries", { params: { query }, signal }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? null,
  });
}

export function statementQuery(from: string, to: string) {
  return queryOptions({
    queryKey: walletKeys.statement(from, to),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/wallet/statement", { params: { query: { from, to } }, signal })),
  });
}
