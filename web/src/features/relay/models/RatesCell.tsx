import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Rates } from "@/features/operations/types";
import { finerCount, ratesDraft } from "../rates/rates";

/** Input and output; how much more there is to say below. */
export function RatesCell({ rates }: { rates: Rates }): ReactNode {
  const { t } = useTranslation("relay");
  const draft = ratesDraft(rates);
  const { input, output, cached_input: cached } = draft;
  const finer = finerCount(draft) - (cached === "" ? 0 : 1);
  return (
    <>
      <span className="sr-only">{t("models.ratesSpoken", { input, output })}</span>
      <span aria-hidden className="whitespace-nowrap">
        {input} / {output}
      </span>
      {cached !== "" && <span className="text-muted block text-xs">{t("models.cached", { rate: cached })}</span>}
      {finer > 0 && <span className="text-muted block text-xs">{t("models.finer", { count: finer })}</span>}
    </>
  );
}
