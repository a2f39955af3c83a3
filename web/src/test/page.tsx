/** A page in what it stands in: signed in, a router, a cache of its own, tooltips, English texts. */
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRoute, createRouter, Outlet, RouterProvider, type RouteComponent } from "@tanstack/react-router";
import { render } from "@testing-library/react";
import { HttpResponse } from "msw";
import { Tooltip } from "radix-ui";
import { vi } from "vitest";
import { adopt } from "@/api/credentials";
import { startI18n, withTexts, type PageTexts } from "@/i18n";

/** Once for a file: what jsdom does not have, and the texts. */
export async function preparePages(...texts: PageTexts[]): Promise<void> {
  vi.stubGlobal("ResizeObserver", class { observe = (): void => undefined; unobserve = (): void => undefined; disconnect = (): void => undefined; });
  vi.stubGlobal("scrollTo", () => undefined);
  vi.stubGlobal("matchMedia", () => ({ matches: false }));
  await startI18n("en");
  await Promise.all(texts.map((page) => withTexts(page, async () => undefined)));
}

export function openPage(component: RouteComponent, path: string): void {
  adopt({
    access_token: "t",
    refresh_token: null,
    expires_in: 900,
    user: { id: "u1", email: "ada@example.org", username: "ada", role: "user", created_at: "2026-11-01T00:00:00Z" },
  });
  const root = createRootRoute({ component: Outlet });
  const { pathname } = new URL(path, "http://page");
  const page = createRoute({ getParentRoute: () => root, path: pathname, component });
  const others = ["/", "/keys", "/balance", "/c/$sessionId"]
    .filter((other) => other !== pathname)
    .map((other) => createRoute({ getParentRoute: () => root, path: other }));
  const router = createRouter({ routeTree: root.addChildren([page, ...others]), history: createMemoryHistory({ initialEntries: [path] }) });
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <QueryClientProvider client={client}>
      <Tooltip.Provider>
        <RouterProvider router={router as never} />
      </Tooltip.Provider>
    </QueryClientProvider>,
  );
}

/** A refusal as the server writes it. */
export function refuse(status: number, code: string, data?: object): Response {
  return HttpResponse.json({ status, code, title: "", detail: `server: ${code}`, request_id: "r", ...(data === undefined ? {} : { data }) }, { status });
}
