/** The operator's pages in what they stand in, as one address after another. */
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRoute, createRouter, Outlet, RouterProvider } from "@tanstack/react-router";
import { render } from "@testing-library/react";
import { Tooltip } from "radix-ui";
import { adopt } from "@/api/credentials";
import { OperationsPage } from "@/features/operations/OperationsPage";
import { operationsSearch } from "@/features/operations/search";
import type { Channel } from "@/features/operations/types";

const AT = "2026-11-21T10:20:30Z";
export const OPERATOR_ID = "0193a5c0-7e10-7abc-8def-0123456789ab";

export const CHANNEL: Channel = {
  id: "c1", name: "Main", provider: "openai", base_url: "https://api.example.org/v1", key_hints: ["a1B2"], keys: [{ name: "k1", hint: "a1B2", suspended: null }],
  priority: 0, weight: 1, groups: [], limits: {}, drain: null, public_name: null, probe: "list", parameters: [], headers: [], proxy: null, tags: [], note: "",
  models: [
    {
      name: "fast", upstream: "fast-2026", context_tokens: null, max_output_tokens: null,
      prices: { input: "2.5", output: "10" }, costs: { input: "1", output: "5" }, price_version: 1, upcoming: [],
    },
  ],
  enabled: true, version: 4, created_at: AT, updated_at: AT,
};

/** `path` is behind `/operations/`. */
export function openOperations(path: string, role: "admin" | "user" = "admin"): void {
  adopt({ access_token: "t", refresh_token: null, expires_in: 900, user: { id: OPERATOR_ID, email: "op@example.org", username: "op", role, created_at: AT } });
  const root = createRootRoute({ component: Outlet });
  const page = createRoute({ getParentRoute: () => root, path: "/operations/$section", validateSearch: operationsSearch, component: OperationsPage });
  const home = createRoute({ getParentRoute: () => root, path: "/" });
  const router = createRouter({ routeTree: root.addChildren([home, page]), history: createMemoryHistory({ initialEntries: [`/operations/${path}`] }) });
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <QueryClientProvider client={client}>
      <Tooltip.Provider>
        <RouterProvider router={router as never} />
      </Tooltip.Provider>
    </QueryClientProvider>,
  );
}
