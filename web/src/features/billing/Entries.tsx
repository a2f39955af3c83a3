/** The ledger: every movement of the wallet with both of its sides. */
import type { ReactNode } from "react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { BookOpen } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Empty, Loaded, MoreButton } from "@/components/ui/Loaded";
import { formatDate } from "@/lib/dates";
import { movementsOf, type Movement } from "./movements";
import { entriesQuery } from "./queries";
import { useMoney } from "./wallet";

const ACCOUNTS = ["granted", "paid", "debt", "reserved", "holds", "revenue", "promotions", "payments", "adjustments", "upstream_cost", "upstream_payable"] as const;
const KINDS = ["grant", "top_up", "hold", "charge", "release", "expiry", "adjustment"] as const;

/** A newer server may book on accounts that this page has no name for. */
function known<T extends string>(names: readonly T[], name: string): T | null {
  return names.find((each) => each === name) ?? null;
}

export function Entries(): ReactNode {
  const { t } = useTranslation("billing");
  const query = useInfiniteQuery(entriesQuery());
  const movements = movementsOf(query.data?.pages.flatMap((page) => page.items) ?? []);
  return (
    <Loaded query={query} texts="billing" height="16rem">
      <p className="text-muted text-sm text-pretty">{t("entries.text")}</p>
      {movements.length === 0 ? (
        <Empty icon={BookOpen} title={t("entries.empty")} text={t("entries.emptyText")} />
      ) : (
        <ul className="rows">
          {movements.map((movement) => (
            <MovementRow key={movement.position} movement={movement} />
          ))}
        </ul>
      )}
      <MoreButton query={query} />
    </Loaded>
  );
}

function MovementRow({ movement }: { movement: Movement }): ReactNode {
  const { t, i18n } = useTranslation("billing");
  const money = useMoney();
  const [first] = movement.lines;
  if (first === undefined) return null;
  const kind = known(KINDS, first.kind);
  const about = [first.model, first.reason].filter((text) => text != null && text !== "").join(" · ");
  return (
    <li className="row flex-col sm:flex-row">
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap items-baseline gap-x-2">
          <span className="font-medium">{kind === null ? first.kind : t(`entries.kind.${kind}`)}</span>
          <time dateTime={first.at} className="text-muted text-xs">
            {formatDate(first.at, i18n.language, "moment")}
          </time>
        </p>
        {about !== "" && <p className="text-muted mt-0.5 text-xs wrap-anywhere">{about}</p>}
      </div>
      <dl className="grid w-full grid-cols-[1fr_auto] gap-x-6 gap-y-0.5 text-sm sm:w-auto sm:min-w-72">
        {movement.lines.map((line) => {
          const account = known(ACCOUNTS, line.account);
          return (
            <div key={line.line} className="contents">
              <dt className="text-muted">{account === null ? line.account : t(`entries.account.${account}`)}</dt>
              <dd className="amount text-right">{money(line.amount_nanos, "exact")}</dd>
            </div>
          );
        })}
      </dl>
    </li>
  );
}
