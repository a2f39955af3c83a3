/** The chunks of the pages. Which one will be needed can be told from the address before anything else has loaded. */
import { maybeSignedIn } from "@/api/credentials";
import { withTexts } from "@/i18n";

export const loginPage = () => import("@/features/users/LoginPage");
export const registerPage = () => import("@/features/users/RegisterPage");
export const chatPages = () => import("@/features/chat/ChatLayout");
export const balancePage = () => withTexts("billing", () => import("@/features/billing/BalancePage"));
export const keysPage = () => withTexts("keys", () => import("@/features/users/keys/KeysPage"));
// The choice of a period is the balance page's.
export const usagePage = () => withTexts("billing", () => withTexts("relay", () => import("@/features/relay/usage/UsagePage")));
export const operationsPage = () => withTexts("operations", () => import("@/features/operations/OperationsPage"));

type Loader = () => Promise<unknown>;

/** By the first step of the address; pages that are not listed are the chat's own. */
const BESIDE_CHAT: Readonly<Record<string, Loader>> = { balance: balancePage, usage: usagePage, keys: keysPage, operations: operationsPage };

/** Fetches the page's chunks beside the texts and the sign-in, not after them. A failure is the router's to show. */
export function preloadPage(pathname: string): void {
  const beside = BESIDE_CHAT[pathname.split("/")[1] ?? ""];
  const signedIn: readonly Loader[] = beside === undefined ? [chatPages] : [chatPages, beside];
  const guest: Loader = pathname === "/register" ? registerPage : loginPage;
  for (const load of maybeSignedIn() ? signedIn : [guest]) load().catch(() => undefined);
}
