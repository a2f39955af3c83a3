import type { ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { isLow, useMoney, walletQuery } from "@/features/billing/wallet";
import { useModels } from "./models";

/** The line below the composer: what is left when that is little, else what to know about the model. */
export function ComposerNote(): ReactNode {
  const { t } = useTranslation();
  const { current } = useModels();
  const { data: wallet } = useQuery(walletQuery());
  const money = useMoney();
  const low = wallet !== undefined && isLow(wallet);
  return (
    <p className="text-muted px-4 pt-2 text-center text-xs text-balance">
      {low && (
        <>
          <Link to="/balance" className="link">
            {t("credit.left", { amount: money(wallet.available_nanos, "floor") })}
          </Link>
          {" · "}
        </>
      )}
      {current?.demonstration === true ? t("models.demonstrationNote") : t("composer.note")}
    </p>
  );
}
