/** The chunks of the pages. Which one will be needed can be told from the address before anything else has loaded. */
import { maybeSignedIn } from "@/api/credentials";

export const loginPage = () => import("@/features/users/LoginPage");
export const registerPage = () => import("@/features/users/RegisterPage");
export const chatPages = () => import("@/features/chat/ChatLayout");

/** Fetches the page's chunk beside the texts and the sign-in, not after them. A failure is the router's to show. */
export function preloadPage(pathname: string): void {
  const guest = pathname === "/register" ? registerPage : loginPage;
  const load: () => Promise<unknown> = maybeSignedIn() ? chatPages : guest;
  load().catch(() => undefined);
}
