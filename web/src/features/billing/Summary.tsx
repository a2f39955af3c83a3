/** What can be spent now, what is held apart, and where it came from. */
import type { ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import type { Wallet } from "@/api/types";
import { Loaded } from "@/components/ui/Loaded";
import { splitExact } from "@/lib/money";
import { isLow, useMoney, walletQuery } from "./wallet";

export function Summary(): ReactNode {
  const { t } = useTranslation("billing");
  const query = useQuery(walletQuery());
  return (
    <section aria-label={t("summary.label")} className="flex flex-col gap-4">
      <Loaded query={query} texts="billing" height="11rem">
        {query.data !== undefined && <Pots wallet={query.data} />}
      </Loaded>
    </section>
  );
}

function Pots({ wallet }: { wallet: Wallet }): ReactNode {
  const { t, i18n } = useTranslation("billing");
  const money = useMoney();
  const [usual, rest] = splitExact(wallet.available_nanos, wallet.currency, i18n.language);
  const debt = BigInt(wallet.debt_nanos);
  const pots = [
    { name: t("summary.granted"), nanos: wallet.granted_nanos, text: t("summary.grantedText") },
    { name: t("summary.paid"), nanos: wallet.paid_nanos, text: t("summary.paidText") },
    ...(debt === 0n ? [] : [{ name: t("summary.debt"), nanos: `-${wallet.debt_nanos}`, text: t("summary.debtText") }]),
  ];
  return (
    <div className="grid gap-4 md:grid-cols-[1.3fr_1fr]">
      <div className="card flex flex-col justify-between gap-6">
        <div>
          <h2 className="text-muted text-sm font-medium">{t("summary.available")}</h2>
          <p data-testid="available" className="figure mt-1">
            {usual}
            <span className="text-muted text-[0.5em]">{rest}</span>
          </p>
          {isLow(wallet) && <p className="text-danger mt-2 text-sm text-pretty">{t("summary.low")}</p>}
        </div>
        <div className="border-line border-t pt-3">
          <p className="flex flex-wrap items-baseline justify-between gap-x-4 text-sm">
            <span className="font-medium">{t("summary.held")}</span>
            <span className="amount">{money(wallet.held_nanos, "exact")}</span>
          </p>
          <p className="text-muted mt-1 text-xs text-pretty">{t("summary.heldText")}</p>
        </div>
      </div>
      <dl className="card flex flex-col gap-4">
        {pots.map((pot) => (
          <div key={pot.name} className="pot">
            <dt className="font-medium">{pot.name}</dt>
            <dd className="amount">{money(pot.nanos, "exact")}</dd>
            <dd className="text-muted col-span-2 text-xs text-pretty">{pot.text}</dd>
          </div>
        ))}
        <div className="pot border-line mt-auto border-t pt-3">
          <dt className="font-medium">{t("summary.balance")}</dt>
          <dd className="amount font-medium">{money(wallet.balance_nanos, "exact")}</dd>
        </div>
      </dl>
    </div>
  );
}
