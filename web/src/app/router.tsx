/** Every page and its address. The sign-in pages, the chat, and each page beside it are chunks of their own. */
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import { credentials, whenKnown } from "@/api/credentials";
import { operationsSearch } from "@/features/operations/search";
import { usageSearch } from "@/features/relay/usage/search";
import { localPath } from "@/lib/local-path";
import { ErrorPage } from "./ErrorPage";
import { LoadingPage } from "./LoadingPage";
import { NotFoundPage } from "./NotFoundPage";
import { balancePage, chatPages, keysPage, loginPage, operationsPage, registerPage, usagePage } from "./pages";

const rootRoute = createRootRoute({ component: Outlet, notFoundComponent: NotFoundPage });

interface NextSearch {
  /** Where to go after signing in. */
  next?: string;
}

function nextOf(search: Record<string, unknown>): NextSearch {
  const next = localPath(search["next"]);
  return next === null || next === "/" ? {} : { next };
}

const guestRoute = createRoute({
  getParentRoute: () => rootRoute,
  id: "guest",
  beforeLoad: async ({ search }) => {
    await whenKnown().catch(() => undefined);
    if (credentials.getState().status !== "signed-in") return;
    throw redirect({ href: localPath((search as NextSearch).next) ?? "/", replace: true });
  },
});

const loginRoute = createRoute({
  getParentRoute: () => guestRoute,
  path: "/login",
  validateSearch: nextOf,
  component: lazyRouteComponent(loginPage, "LoginPage"),
});

const registerRoute = createRoute({
  getParentRoute: () => guestRoute,
  path: "/register",
  validateSearch: nextOf,
  component: lazyRouteComponent(registerPage, "RegisterPage"),
});

const signedInRoute = createRoute({
  getParentRoute: () => rootRoute,
  id: "signed-in",
  beforeLoad: async ({ location }) => {
    await whenKnown();
    if (credentials.getState().status === "signed-in") return;
    throw redirect({ to: "/login", search: nextOf({ next: location.href }), replace: true });
  },
  component: lazyRouteComponent(chatPages, "ChatLayout"),
});

const newChatRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: "/",
  component: lazyRouteComponent(chatPages, "NewChatPage"),
});

interface ThreadSearch {
  /** A message on the branch to show; absent: the newest one. */
  branch?: string;
}

const threadRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: "/c/$sessionId",
  validateSearch: (search: Record<string, unknown>): ThreadSearch =>
    typeof search["branch"] === "string" ? { branch: search["branch"] } : {},
  component: lazyRouteComponent(chatPages, "ThreadPage"),
});

interface BalanceSearch {
  /** Days of the statement, both included (YYYY-MM-DD, UTC); absent: this month. */
  from?: string;
  to?: string;
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;

const balanceRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: "/balance",
  validateSearch: ({ from, to }: Record<string, unknown>): BalanceSearch =>
    typeof from === "string" && typeof to === "string" && DAY.test(from) && DAY.test(to) ? { from, to } : {},
  component: lazyRouteComponent(balancePage, "BalancePage"),
});

const usageRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: "/usage",
  validateSearch: usageSearch,
  component: lazyRouteComponent(usagePage, "UsagePage"),
});

const keysRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: "/keys",
  component: lazyRouteComponent(keysPage, "KeysPage"),
});

const operationsRoute = createRoute({
  getParentRoute: () => signedInRoute,
  path: "/operations/$section",
  validateSearch: operationsSearch,
  component: lazyRouteComponent(operationsPage, "OperationsPage"),
});

const routeTree = rootRoute.addChildren([
  guestRoute.addChildren([loginRoute, registerRoute]),
  signedInRoute.addChildren([newChatRoute, threadRoute, balanceRoute, usageRoute, keysRoute, operationsRoute]),
]);

export const router = createRouter({
  routeTree,
  defaultPendingComponent: LoadingPage,
  defaultErrorComponent: ErrorPage,
  defaultPendingMs: 300,
  scrollRestoration: false,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
