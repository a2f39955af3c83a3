/** Signing up, in and out. */
import { api, unwrap } from "@/api/client";
import { adopt, credentials, forget } from "@/api/credentials";
import { clearDrafts } from "@/lib/drafts";

export async function signIn(email: string, password: string): Promise<void> {
  // `cookie`: the refresh token stays where no script can read it.
  adopt(await unwrap(api.POST("/api/v1/auth/login", { body: { email, password, cookie: true } })));
}

export async function register(email: string, username: string, password: string): Promise<void> {
  await unwrap(api.POST("/api/v1/auth/register", { body: { email, username, password } }));
  await signIn(email, password);
}

/** Signs out everywhere in this browser. Drafts go too: the machine may be shared. */
export async function signOut(): Promise<void> {
  const userId = credentials.getState().grant?.user.id;
  await unwrap(api.POST("/api/v1/auth/logout", { body: {} }));
  if (userId !== undefined) clearDrafts(userId);
  forget();
}
