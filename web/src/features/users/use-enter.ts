/** After signing in: to the page that was asked for, else to a new chat. */
import { useCallback } from "react";
import { useRouter, useSearch } from "@tanstack/react-router";
import { localPath } from "@/lib/local-path";

export function useEnter(): () => Promise<void> {
  const router = useRouter();
  const search: { next?: unknown } = useSearch({ strict: false });
  const target = localPath(search.next) ?? "/";
  return useCallback(async () => {
    await router.navigate({ href: target, replace: true });
  }, [router, target]);
}
