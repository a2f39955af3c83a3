import { useEffect, useRef, useState, type FormEvent, type ReactNode } from "react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { CalendarX, Copy } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { Confirm } from "@/components/ui/Confirm";
import { Field } from "@/components/ui/Field";
import { Notice } from "@/components/ui/Notice";
import { Spinner } from "@/components/ui/Spinner";
import { notify, notifyError } from "@/components/ui/toast";
import { useErrorText } from "@/i18n/problems";
import { Choices } from "@/features/operations/parts/Choices";
import { Time } from "@/features/operations/parts/values";
import type { ChannelModel } from "@/features/operations/types";
import { RatesFields } from "../rates/RatesFields";
import { setPrices } from "../writes";
import type { Offer } from "./offers";
import { RatesCell } from "./RatesCell";
import { usePriceChange, type PriceChange } from "./use-price-change";

export function PriceEditor({ offer: { channel, model }, onClose }: { offer: Offer; onClose: () => void }): ReactNode {
  const { t } = useTranslation("relay");
  const change = usePriceChange(channel, model, () => {
    notify(t("models.saved", { name: model.name }));
    onClose();
  });
  const { rates, edit, errors, failure, busy, refusals, submit } = change;
  const box = useRef<HTMLFormElement>(null);
  useEffect(() => box.current?.querySelector("input")?.focus(), []);
  useEffect(() => {
    if (refusals > 0) box.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  }, [refusals]);
  const onSubmit = (event: FormEvent): void => {
    event.preventDefault();
    submit();
  };
  return (
    <form ref={box} noValidate className="flex flex-col gap-4 pb-3" aria-label={t("models.change", { name: model.name })} onSubmit={onSubmit}>
      <RatesFields legend={t("form.costs")} value={rates.costs} errors={errors.costs} refusals={refusals} onChange={(next) => edit("costs", next)} />
      <RatesFields
        legend={t("form.prices")}
        value={rates.prices}
        errors={errors.prices}
        refusals={refusals}
        onChange={(next) => edit("prices", next)}
        tools={
          <Button kind="quiet" size="small" onClick={() => edit("prices", rates.costs)}>
            <Copy aria-hidden />
            {t("form.costsAsPrices")}
          </Button>
        }
      />
      <Begins change={change} />
      {model.upcoming.length > 0 && <Upcoming channelId={channel.id} model={model} />}
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

function Begins({ change: { from, setFrom, fromError } }: { change: PriceChange }): ReactNode {
  const { t } = useTranslation("relay");
  const [later, setLater] = useState(false);
  const choose = (value: "now" | "later"): void => {
    setLater(value === "later");
    if (value === "now") setFrom("");
  };
  const choices = (["now", "later"] as const).map((value) => ({ value, label: t(`begins.${value}`) }));
  return (
    <div className="grid items-end gap-3 md:grid-cols-2">
      <Choices legend={t("begins.legend")} value={later ? "later" : "now"} choices={choices} onChange={choose} />
      {later && <Field label={t("begins.from")} type="datetime-local" value={from} error={fromError} onChange={(event) => setFrom(event.target.value)} />}
    </div>
  );
}

/** What begins later, each to be withdrawn while it has not begun. */
function Upcoming({ channelId, model }: { channelId: string; model: ChannelModel }): ReactNode {
  const { t } = useTranslation("relay");
  const client = useQueryClient();
  const errorText = useErrorText("relay");
  const { mutate, isPending } = useMutation({
    mutationFn: (from: string) => setPrices(client, channelId, [{ model: model.name, from }]),
    onSuccess: () => notify(t("begins.withdrawn")),
    onError: (error) => notifyError(errorText(error)),
  });
  return (
    <div className="flex flex-col gap-2">
      <p className="text-muted text-xs font-medium">{t("begins.list")}</p>
      <ul className="flex flex-col gap-1.5" aria-label={t("begins.list")}>
        {model.upcoming.map((price) => (
          <li key={price.from} className="border-line flex flex-wrap items-center gap-x-5 gap-y-1 rounded-xl border px-3 py-1.5 text-sm">
            <span className="font-medium">
              <Time at={price.from} />
            </span>
            <span className="tabular-nums">
              <span className="text-muted text-xs">{t("models.price")}</span> <RatesCell rates={price.prices} />
            </span>
            <span className="tabular-nums">
              <span className="text-muted text-xs">{t("models.cost")}</span> <RatesCell rates={price.costs} />
            </span>
            <span className="ml-auto">
              <Confirm title={t("begins.withdrawTitle")} text={t("begins.withdrawText", { name: model.name })} action={t("begins.withdraw")} onConfirm={() => mutate(price.from)}>
                <Button kind="quiet" size="small" disabled={isPending}>
                  <CalendarX aria-hidden />
                  {t("begins.withdraw")}
                </Button>
              </Confirm>
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}
