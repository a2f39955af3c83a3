/** One user: who it is, what the wallet holds, and every line of its ledger. */
import { lazy, Suspense, type ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ArrowLeft, ScrollText } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button, buttonClass } from "@/components/ui/Button";
import { Loaded } from "@/components/ui/Loaded";
import { withTexts } from "@/i18n";
import { focusHeading } from "../parts/focus-heading";
import { Amount, Badge, ShortId, Time } from "../parts/values";
import { userQuery } from "../queries";
import type { Account } from "../types";
import { MOVEMENTS } from "../writes";
import { Ledger } from "./Ledger";
import { MovementDialog } from "./MovementDialog";

const UserGroup = lazy(() => withTexts("relay", async () => ({ default: (await import("@/features/relay/groups/UserGroup")).UserGroup })));

export function UserPage({ id, search }: { id: string; search: string }): ReactNode {
  const { t } = useTranslation("operations");
  const query = useQuery(userQuery(id));
  return (
    <section className="flex flex-col gap-6" aria-label={query.data?.username ?? t("users.user")}>
      <div className="flex min-h-11 items-center gap-2">
        <Link
          to="/operations/$section"
          params={{ section: "users" }}
          search={search === "" ? {} : { query: search }}
          aria-label={t("users.back")}
          title={t("users.back")}
          className={buttonClass({ kind: "quiet", size: "icon" })}
        >
          <ArrowLeft aria-hidden />
        </Link>
        {query.data !== undefined && (
          <h2 ref={focusHeading} tabIndex={-1} className="font-display min-w-0 truncate text-2xl outline-none">
            {query.data.username}
          </h2>
        )}
        {query.data?.role === "admin" && <Badge tone="good">{t("users.admin")}</Badge>}
      </div>
      <Loaded query={query} texts="operations" height="14rem">
        {query.data !== undefined && <Overview user={query.data} />}
        {query.data !== undefined && <Ledger userId={id} currency={query.data.wallet.currency} />}
      </Loaded>
    </section>
  );
}

const POTS = ["held", "balance", "granted", "paid", "debt"] as const;

function Overview({ user }: { user: Account }): ReactNode {
  const { t } = useTranslation("operations");
  const { wallet } = user;
  return (
    <div className="panel flex flex-col gap-5 p-4 md:p-5">
      <p className="text-muted flex flex-wrap items-center gap-x-3 gap-y-1 text-sm">
        <span className="wrap-anywhere">{user.email}</span>
        <ShortId id={user.id} label={t("users.copyId")} />
        <span>
          {t("users.since")} <Time at={user.created_at} />
        </span>
      </p>
      <dl className="grid gap-x-8 gap-y-4 sm:grid-cols-3 lg:grid-cols-6">
        <Pot name={t("wallet.available")}>
          <span className="text-lg font-medium">
            <Amount nanos={wallet.available_nanos} currency={wallet.currency} />
          </span>
        </Pot>
        {POTS.map((pot) => (
          <Pot key={pot} name={t(`wallet.${pot}`)}>
            <Amount nanos={wallet[`${pot}_nanos`]} currency={wallet.currency} />
          </Pot>
        ))}
      </dl>
      <Suspense fallback={<div className="h-[4.375rem]" />}>
        <UserGroup key={user.group} user={user} />
      </Suspense>
      <div className="flex flex-wrap gap-2">
        {MOVEMENTS.map((kind) => (
          <MovementDialog key={kind} user={user} kind={kind}>
            <Button kind={kind === "grants" ? "primary" : "outline"}>{t(`movement.title.${kind}`)}</Button>
          </MovementDialog>
        ))}
        <Link
          to="/operations/$section"
          params={{ section: "events" }}
          search={{ type: "wallet", id: user.id }}
          className={buttonClass({ kind: "quiet" })}
        >
          <ScrollText aria-hidden />
          {t("users.walletEvents")}
        </Link>
      </div>
    </div>
  );
}

function Pot({ name, children }: { name: string; children: ReactNode }): ReactNode {
  return (
    <div className="flex items-baseline justify-between gap-3 sm:flex-col sm:justify-start sm:gap-1">
      <dt className="text-muted text-xs">{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
