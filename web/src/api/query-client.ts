/** The cache of server state. Refusals are final, lost networks and 5xx are asked again. */
import { QueryClient } from "@tanstack/react-query";
import { credentials } from "./credentials";
import { ApiError } from "./problem";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      retry: (failures, error) => failures < 3 && (!(error instanceof ApiError) || error.transient),
      retryDelay: (failures) => Math.min(8_000, 500 * 2 ** failures),
    },
  },
});

credentials.subscribe((now, before) => {
  if (now.grant?.user.id !== before.grant?.user.id) queryClient.clear();
});
