import type { TFunction } from "i18next";
import type { Session } from "@/api/types";

/** What a conversation is called: its title, else how it begins. */
export function sessionTitle(t: TFunction, session: Session | undefined): string {
  if (session === undefined) return "";
  const title = session.title ?? session.preview;
  return title.trim() === "" ? t("sessions.untitled") : title;
}
