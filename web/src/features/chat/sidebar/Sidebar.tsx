import type { ReactNode } from "react";
import { Link, useParams } from "@tanstack/react-router";
import { SquarePen } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Mark } from "@/components/ui/Brand";
import { closeDrawer } from "../layout-state";
import { SessionList } from "./SessionList";
import { UserMenu } from "./UserMenu";

/** The conversations and the account. `tools` are the buttons that close this very sidebar. */
export function Sidebar({ tools }: { tools: ReactNode }): ReactNode {
  const { t } = useTranslation();
  const { sessionId } = useParams({ strict: false });
  return (
    <div className="flex h-full min-h-0 flex-col">
      <div className="flex items-center gap-2.5 py-2.5 pr-2 pl-4">
        <Mark className="size-7" />
        <span className="font-display flex-1 text-lg tracking-tight">{t("common.product")}</span>
        {tools}
      </div>
      <div className="px-2 pt-1">
        <Link to="/" className="new-chat" onClick={closeDrawer}>
          <SquarePen aria-hidden className="size-4" />
          {t("sessions.new")}
        </Link>
      </div>
      <nav aria-label={t("sessions.label")} className="flex min-h-0 flex-1 flex-col">
        <SessionList currentId={sessionId ?? null} />
      </nav>
      <UserMenu />
    </div>
  );
}
