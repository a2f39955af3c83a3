/** One conversation: open, rename in place, delete with a way back. */
import { useState, type ReactNode } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useRouter } from "@tanstack/react-router";
import { Ellipsis, Pencil, Trash2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { Session } from "@/api/types";
import { Button } from "@/components/ui/Button";
import { Menu, MenuContent, MenuItem, MenuTrigger } from "@/components/ui/Menu";
import { notify, notifyError } from "@/components/ui/toast";
import { errorText } from "@/i18n/problems";
import { closeDrawer } from "../layout-state";
import { sessionTitle } from "../titles";
import { deleteSession, renameSession, restoreSession } from "../writes";
import { RenameField } from "./RenameField";

const UNDO_MS = 10_000;

export function SessionItem({ session, current }: { session: Session; current: boolean }): ReactNode {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [renaming, setRenaming] = useState(false);
  const remove = useDelete(session, current);
  const title = sessionTitle(t, session);

  const rename = (next: string | null): void => {
    setRenaming(false);
    if (next === null || next === title) return;
    renameSession(client, session.id, next).catch((error: unknown) => notifyError(errorText(t, error)));
  };

  if (renaming) return <RenameField title={title} onDone={rename} />;
  return (
    <div className="session-item group" data-current={current}>
      <Link
        to="/c/$sessionId"
        params={{ sessionId: session.id }}
        aria-current={current ? "page" : undefined}
        className="flex min-h-11 min-w-0 flex-1 items-center gap-2 rounded-xl pl-3 md:min-h-9"
        onClick={closeDrawer}
        onDoubleClick={() => setRenaming(true)}
      >
        <span className="truncate">{title}</span>
        {session.active_run_id != null && (
          <span className="running-dot" title={t("sessions.running")}>
            <span className="sr-only">{t("sessions.running")}</span>
          </span>
        )}
      </Link>
      <Menu>
        <MenuTrigger asChild>
          <Button kind="quiet" size="tool" className="session-tools" aria-label={t("sessions.menu", { title })}>
            <Ellipsis aria-hidden />
          </Button>
        </MenuTrigger>
        {/* The focus must reach the field that "rename" opens. */}
        <MenuContent align="start" onCloseAutoFocus={(event) => renaming && event.preventDefault()}>
          <MenuItem onSelect={() => setRenaming(true)}>
            <Pencil aria-hidden />
            {t("sessions.rename")}
          </MenuItem>
          <MenuItem danger onSelect={() => void remove()}>
            <Trash2 aria-hidden />
            {t("sessions.delete")}
          </MenuItem>
        </MenuContent>
      </Menu>
    </div>
  );
}

function useDelete(session: Session, current: boolean): () => Promise<void> {
  const { t } = useTranslation();
  const client = useQueryClient();
  const router = useRouter();

  const undo = async (): Promise<void> => {
    try {
      await restoreSession(client, session.id);
      if (current) await router.navigate({ to: "/c/$sessionId", params: { sessionId: session.id } });
    } catch (error) {
      notifyError(errorText(t, error));
    }
  };

  return async () => {
    try {
      if (current) await router.navigate({ to: "/" });
      await deleteSession(client, session.id);
      notify(t("sessions.deleted"), {
        description: sessionTitle(t, session),
        duration: UNDO_MS,
        action: { label: t("common.undo"), onClick: () => void undo() },
      });
    } catch (error) {
      notifyError(errorText(t, error));
    }
  };
}
