import { useEffect, useRef, type FormEvent, type ReactNode } from "react";
import { Copy } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { Notice } from "@/components/ui/Notice";
import { Spinner } from "@/components/ui/Spinner";
import { notify } from "@/components/ui/toast";
import { RatesFields } from "@/features/operations/parts/RatesFields";
import type { Offer } from "./offers";
import { usePriceChange } from "./use-price-change";

export function PriceEditor({ offer: { channel, model }, onClose }: { offer: Offer; onClose: () => void }): ReactNode {
  const { t } = useTranslation("operations");
  const { rates, edit, errors, failure, busy, submit } = usePriceChange(channel, model, () => {
    notify(t("models.saved", { name: model.name }));
    onClose();
  });
  const box = useRef<HTMLFormElement>(null);
  useEffect(() => box.current?.querySelector("input")?.focus(), []);
  const onSubmit = (event: FormEvent): void => {
    event.preventDefault();
    submit();
  };
  return (
    <form ref={box} noValidate className="flex flex-col gap-4 pb-3" aria-label={t("models.change", { name: model.name })} onSubmit={onSubmit}>
      <RatesFields legend={t("form.costs")} value={rates.costs} errors={errors.costs} onChange={(next) => edit("costs", next)} />
      <RatesFields
        legend={t("form.prices")}
        value={rates.prices}
        errors={errors.prices}
        onChange={(next) => edit("prices", next)}
        tools={
          <Button kind="quiet" size="small" onClick={() => edit("prices", rates.costs)}>
            <Copy aria-hidden />
            {t("form.costsAsPrices")}
          </Button>
        }
      />
      {failure !== null && <Notice text={failure} />}
      <div className="flex flex-wrap items-center justify-between gap-2">
        <p className="text-muted text-sm text-pretty">{t("models.versionNote", { version: model.price_version })}</p>
        <div className="ml-auto flex gap-2">
          <Button kind="quiet" onClick={onClose}>
            {t("cancel")}
          </Button>
          <Button kind="primary" type="submit" aria-disabled={busy}>
            {busy && <Spinner />}
            {t("form.save")}
          </Button>
        </div>
      </div>
    </form>
  );
}
