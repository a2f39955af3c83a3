import type { ReactNode } from "react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { ReceiptText } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Empty, Loaded, MoreButton } from "@/components/ui/Loaded";
import { movementsOf, type Movement } from "@/features/billing/movements";
import { Amount, Badge, Time } from "../parts/values";
import { ledgerQuery } from "../queries";

const KINDS = ["grant", "top_up", "hold", "charge", "release", "expiry", "adjustment"] as const;
const ACCOUNTS = [
  "granted",
  "paid",
  "debt",
  "reserved",
  "holds",
  "revenue",
  "promotions",
  "payments",
  "adjustments",
  "upstream_cost",
  "upstream_payable",
] as const;

/** The double entries of a wallet; the lines of one movement sum to zero. */
export function Ledger({ userId, currency }: { userId: string; currency: string }): ReactNode {
  const { t } = useTranslation("operations");
  const query = useInfiniteQuery(ledgerQuery(userId));
  const groups = movementsOf(query.data?.pages.flatMap((page) => page.items) ?? []);
  return (
    <div className="flex flex-col gap-3">
      <h3 className="font-medium">{t("ledger.title")}</h3>
      <Loaded query={query} texts="operations" height="17.5rem">
        {groups.length === 0 ? (
          <Empty icon={ReceiptText} title={t("ledger.emptyTitle")} text={t("ledger.emptyText")} />
        ) : (
          <div className="panel overflow-hidden">
            <table className="grid-table">
              <caption className="sr-only">{t("ledger.title")}</caption>
              <thead>
                <tr>
                  <th scope="col">{t("ledger.movement")}</th>
                  <th scope="col">{t("ledger.account")}</th>
                  <th scope="col" data-number>
                    {t("ledger.amount")}
                  </th>
                </tr>
              </thead>
              {groups.map((group) => (
                <Group key={group.position} group={group} currency={currency} />
              ))}
            </table>
          </div>
        )}
        <MoreButton query={query} />
      </Loaded>
    </div>
  );
}

/** The name of an account or a kind; the server's own word for those that this page does not know. */
function useNames(): { kind: (name: string) => string; account: (name: string) => string } {
  const { t } = useTranslation("operations");
  return {
    kind: (name) => {
      const known = KINDS.find((each) => each === name);
      return known === undefined ? name : t(`kind.${known}`);
    },
    account: (name) => {
      const known = ACCOUNTS.find((each) => each === name);
      return known === undefined ? name : t(`account.${known}`);
    },
  };
}

function Group({ group: { lines }, currency }: { group: Movement; currency: string }): ReactNode {
  const names = useNames();
  const [first] = lines;
  if (first === undefined) return null;
  const what = [first.model, first.reason].filter((text) => text != null && text !== "").join(" · ");
  return (
    <tbody>
      {lines.map((line, index) => (
        <tr key={line.line} className={index === 0 ? "" : "border-t-0!"}>
          {index === 0 && (
            <th scope="rowgroup" rowSpan={lines.length}>
              <span className="flex flex-wrap items-center gap-x-2 gap-y-1 font-normal">
                <Badge>{names.kind(first.kind)}</Badge>
                <span className="text-muted text-xs">
                  <Time at={first.at} seconds wrap />
                </span>
              </span>
              {what !== "" && <span className="mt-1 block text-sm font-normal wrap-anywhere">{what}</span>}
            </th>
          )}
          <td>{names.account(line.account)}</td>
          <td data-number>
            <Amount nanos={line.amount_nanos} currency={currency} />
          </td>
        </tr>
      ))}
    </tbody>
  );
}
