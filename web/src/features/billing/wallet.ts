/** The wallet as the whole page knows it: what it holds, and its currency. */
import { queryOptions, useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, unwrap } from "@/api/client";
import type { Wallet } from "@/api/types";
import { formatNanos, type Precision } from "@/lib/money";

/** Everything that a movement of money changes is cached below `all`. */
export const walletKeys = {
  all: ["wallet"] as const,
  balance: () => ["wallet", "balance"] as const,
  charges: () => ["wallet", "charges"] as const,
  entries: () => ["wallet", "entries"] as const,
  statement: (from: string, to: string) => ["wallet", "statement", from, to] as const,
};

/** Below this the page begins to say how much is left. */
export const LOW_NANOS = 100_000_000n;

export function walletQuery() {
  return queryOptions({
    queryKey: walletKeys.balance(),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/wallet", { signal })),
  });
}

export function isLow(wallet: Wallet): boolean {
  return BigInt(wallet.available_nanos) < LOW_NANOS;
}

type Money = (nanos: string | bigint, precision?: Precision) => string;

/** Writes amounts of the wallet's currency in the reader's language. */
export function useMoney(): Money {
  const { i18n } = useTranslation();
  const { data: currency = "USD" } = useQuery({ ...walletQuery(), select: (wallet) => wallet.currency });
  return (nanos, precision) => formatNanos(nanos, currency, i18n.language, precision);
}
