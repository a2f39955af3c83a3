/** What was charged, newest first: each with its tokens by tier and the way to what it was for. */
import type { ReactNode } from "react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { KeyRound, MessageSquareText, Receipt } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { Charge } from "@/api/types";
import { Empty, Loaded, MoreButton } from "@/components/ui/Loaded";
import { formatDate } from "@/lib/dates";
import { apiKeysQuery } from "../users/keys/queries";
import { chargesQuery } from "./queries";
import { useMoney } from "./wallet";

const TIERS = ["input", "cached_input", "output", "reasoning"] as const satisfies readonly (keyof Charge["tokens"])[];

export function Charges(): ReactNode {
  const { t } = useTranslation("billing");
  const query = useInfiniteQuery(chargesQuery());
  const charges = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Loaded query={query} texts="billing" height="16rem">
      {charges.length === 0 ? (
        <Empty icon={Receipt} title={t("charges.empty")} text={t("charges.emptyText")} />
      ) : (
        <ul className="rows" data-testid="charges">
          {charges.map((charge) => (
            <ChargeRow key={charge.hold_id} charge={charge} />
          ))}
        </ul>
      )}
      <MoreButton query={query} />
    </Loaded>
  );
}

function ChargeRow({ charge }: { charge: Charge }): ReactNode {
  const { t, i18n } = useTranslation("billing");
  const money = useMoney();
  const tiers = TIERS.filter((tier) => charge.tokens[tier] > 0);
  return (
    <li className="row">
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap items-baseline gap-x-2">
          <span className="font-medium wrap-anywhere">{charge.model}</span>
          <time dateTime={charge.at} className="text-muted text-xs">
            {formatDate(charge.at, i18n.language, "moment")}
          </time>
        </p>
        <p className="text-muted mt-0.5 text-xs">
          {tiers.map((tier) => t(`charges.tier.${tier}`, { shown: charge.tokens[tier].toLocaleString(i18n.language) })).join(" · ")}
          {charge.basis === "counted" && ` · ${t("charges.counted")}`}
          {charge.basis === "estimated" && ` · ${t("charges.estimated")}`}
        </p>
        <Origin charge={charge} />
      </div>
      <span className="amount" title={t("charges.prices", { input: charge.prices.input, output: charge.prices.output })}>
        {money(charge.charged_nanos, "exact")}
      </span>
    </li>
  );
}

function Origin({ charge }: { charge: Charge }): ReactNode {
  const { t } = useTranslation("billing");
  const { data: keys } = useQuery({ ...apiKeysQuery(), enabled: charge.api_key_id != null });
  if (charge.session_id != null) {
    return (
      <Link to="/c/$sessionId" params={{ sessionId: charge.session_id }} className="link origin">
        <MessageSquareText aria-hidden />
        {t("charges.conversation")}
      </Link>
    );
  }
  if (charge.api_key_id == null) return <span className="text-muted origin">{t("charges.direct")}</span>;
  return (
    <Link to="/keys" className="link origin">
      <KeyRound aria-hidden />
      {keys?.find((key) => key.id === charge.api_key_id)?.name ?? t("charges.key")}
    </Link>
  );
}
