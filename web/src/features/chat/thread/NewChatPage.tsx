/** The empty page: a greeting, a few ways to begin, the composer. */
import { useRef, type ReactNode } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { networkError } from "@/api/problem";
import { useTitle } from "@/lib/use-title";
import { Composer, type ComposerHandle } from "../composer/Composer";
import type { Composed } from "../composer/use-composer";
import { ConnectionNotice } from "../live/ConnectionNotice";
import { TopBar } from "../TopBar";
import { createSession, deleteSession, sendMessage } from "../writes";

const SUGGESTIONS = ["explain", "write", "code", "math"] as const;

export function NewChatPage(): ReactNode {
  const { t } = useTranslation();
  const client = useQueryClient();
  const router = useRouter();
  const composer = useRef<ComposerHandle>(null);
  useTitle("");

  const send = async (message: Composed): Promise<void> => {
    // Both keys come from one attempt: however often it is tried, it makes one session with one message.
    const session = await createSession(`${message.idempotencyKey}.session`);
    try {
      await sendMessage(client, session.id, "latest", { ...message, parentId: undefined });
    } catch (cause) {
      if (!networkError(cause).transient) void deleteSession(client, session.id).catch(() => undefined);
      throw cause;
    }
    // Not awaited: the draft is to be cleared while this page still stands.
    void router.navigate({ to: "/c/$sessionId", params: { sessionId: session.id } });
  };

  return (
    <>
      <TopBar title={t("sessions.new")} />
      <div className="scroll-thin flex min-h-0 flex-1 flex-col overflow-y-auto px-4">
        <div className="m-auto flex w-full max-w-[46rem] flex-col gap-8 py-8">
          <h2 className="font-display text-center text-3xl tracking-tight text-balance md:text-[2.5rem]">{t("newChat.greeting")}</h2>
          <ul className="grid gap-3 sm:grid-cols-2">
            {SUGGESTIONS.map((name) => (
              <li key={name}>
                <button type="button" className="suggestion" onClick={() => composer.current?.suggest(t(`newChat.${name}Text`))}>
                  <span className="font-medium">{t(`newChat.${name}`)}</span>
                  <span className="text-muted text-sm">{t(`newChat.${name}Text`)}</span>
                </button>
              </li>
            ))}
          </ul>
        </div>
      </div>
      <ConnectionNotice />
      <Composer ref={composer} place="new" parentId={undefined} busy={false} onSend={send} onStop={() => undefined} />
    </>
  );
}
