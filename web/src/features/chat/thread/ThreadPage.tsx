/** One conversation: its title, its messages, the composer. */
import type { ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ApiError } from "@/api/problem";
import { buttonClass } from "@/components/ui/Button";
import { errorText } from "@/i18n/problems";
import { useTitle } from "@/lib/use-title";
import { sessionQuery } from "../queries";
import { sessionTitle } from "../titles";
import { TopBar } from "../TopBar";
import { Thread } from "./Thread";

export function ThreadPage(): ReactNode {
  const { t } = useTranslation();
  const { sessionId = "" } = useParams({ strict: false });
  const search: { branch?: string } = useSearch({ strict: false });
  const { data: session, error } = useQuery(sessionQuery(sessionId));
  const title = sessionTitle(t, session);
  useTitle(title);
  if (error instanceof ApiError && !error.transient && session === undefined) return <Missing error={error} />;
  return (
    <>
      <TopBar title={title} />
      <Thread key={sessionId} sessionId={sessionId} branch={search.branch ?? "latest"} />
    </>
  );
}

function Missing({ error }: { error: ApiError }): ReactNode {
  const { t } = useTranslation();
  const missing = error.status === 404 || error.status === 400 || error.status === 422;
  return (
    <>
      <TopBar title={t("thread.missing")} />
      <div className="m-auto flex max-w-sm flex-col items-center gap-4 p-6 text-center">
        <p className="text-muted">{missing ? t("thread.missingText") : errorText(t, error)}</p>
        <Link to="/" className={buttonClass({ kind: "primary" })}>
          {t("sessions.new")}
        </Link>
      </div>
    </>
  );
}
