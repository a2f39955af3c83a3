/** All models of all channels: what is asked, what they cost, what is left. */
import { Fragment, useRef, useState, type ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Boxes, Pencil } from "lucide-react";
import { useTranslation } from "react-i18next";
import { buttonClass } from "@/components/ui/Button";
import { IconButton } from "@/components/ui/IconButton";
import { Empty, Loaded } from "@/components/ui/Loaded";
import { ratesDraft } from "../channels/draft";
import { Badge, useNumber } from "@/features/operations/parts/values";
import { channelsQuery } from "@/features/operations/queries";
import type { Rates } from "@/features/operations/types";
import { marginsOf, offersOf, type Offer } from "./offers";
import { PriceEditor } from "./PriceEditor";

export function ModelsSection(): ReactNode {
  const query = useQuery(channelsQuery());
  return (
    <Loaded query={query} texts="operations" height="18rem">
      <Offers offers={offersOf(query.data ?? [])} />
    </Loaded>
  );
}

function Offers({ offers }: { offers: readonly Offer[] }): ReactNode {
  const { t } = useTranslation("operations");
  const [open, setOpen] = useState<string | null>(null);
  const opener = useRef<HTMLElement>(null);
  const toggle = (key: string, button: HTMLElement): void => {
    opener.current = button;
    setOpen((now) => (now === key ? null : key));
  };
  const close = (): void => {
    setOpen(null);
    opener.current?.focus();
  };
  if (offers.length === 0) {
    return (
      <Empty icon={Boxes} title={t("models.emptyTitle")} text={t("models.emptyText")}>
        <Link to="/operations/$section" params={{ section: "channels" }} search={{ channel: "new" }} className={buttonClass({ kind: "primary" })}>
          {t("channels.add")}
        </Link>
      </Empty>
    );
  }
  return (
    <section className="flex flex-col gap-3" aria-label={t("sections.models")}>
      <p className="text-muted max-w-2xl text-sm text-pretty">{t("models.intro")}</p>
      <div className="panel overflow-hidden">
        <table className="grid-table">
          <caption className="sr-only">{t("models.caption")}</caption>
          <thead>
            <tr>
              <th scope="col">{t("models.model")}</th>
              <th scope="col" data-number>
                {t("models.price")}
              </th>
              <th scope="col" data-number className="hidden md:table-cell">
                {t("models.cost")}
              </th>
              <th scope="col" data-number className="hidden sm:table-cell">
                {t("models.margin")}
              </th>
              <th scope="col" data-number className="hidden lg:table-cell">
                {t("models.context")}
              </th>
              <th scope="col">
                <span className="sr-only">{t("models.actions")}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {offers.map((offer) => {
              const key = `${offer.channel.id} ${offer.model.name}`;
              const isOpen = open === key;
              return (
                <Fragment key={key}>
                  <OfferRow offer={offer} isOpen={isOpen} onToggle={(button) => toggle(key, button)} />
                  {isOpen && (
                    <tr className="border-t-0!">
                      <td colSpan={6}>
                        <PriceEditor offer={offer} onClose={close} />
                      </td>
                    </tr>
                  )}
                </Fragment>
              );
            })}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function OfferRow({ offer, isOpen, onToggle }: { offer: Offer; isOpen: boolean; onToggle: (button: HTMLElement) => void }): ReactNode {
  const { t } = useTranslation("operations");
  const number = useNumber();
  const { channel, model, state } = offer;
  return (
    <tr data-muted={state === "off"}>
      <th scope="row">
        <span className="flex flex-wrap items-center gap-x-2 gap-y-1 font-medium wrap-anywhere">
          {model.name}
          {state !== "served" && <Badge>{t(`models.${state}`)}</Badge>}
        </span>
        <span className="text-muted block text-xs font-normal wrap-anywhere">
          {channel.name}
          {model.upstream !== model.name && ` → ${model.upstream}`}
        </span>
      </th>
      <td data-number>
        <RatesCell rates={model.prices} />
      </td>
      <td data-number className="hidden md:table-cell">
        <RatesCell rates={model.costs} />
      </td>
      <td data-number className="hidden sm:table-cell">
        <Margin offer={offer} />
      </td>
      <td data-number className="hidden lg:table-cell">
        {model.context_tokens == null ? t("models.unknown") : number(model.context_tokens)}
      </td>
      <td className="w-0 py-1.5!">
        <IconButton label={t("models.change", { name: model.name })} aria-expanded={isOpen} onClick={(event) => onToggle(event.currentTarget)}>
          <Pencil aria-hidden />
        </IconButton>
      </td>
    </tr>
  );
}

/** Input and output; the finer tiers below where they differ. */
function RatesCell({ rates }: { rates: Rates }): ReactNode {
  const { t } = useTranslation("operations");
  const { input, output, cached_input: cached, reasoning } = ratesDraft(rates);
  return (
    <>
      <span className="sr-only">{t("models.ratesSpoken", { input, output })}</span>
      <span aria-hidden className="whitespace-nowrap">
        {input} / {output}
      </span>
      {cached !== "" && <span className="text-muted block text-xs">{t("models.cached", { rate: cached })}</span>}
      {reasoning !== "" && <span className="text-muted block text-xs">{t("models.reasoning", { rate: reasoning })}</span>}
    </>
  );
}

function Margin({ offer }: { offer: Offer }): ReactNode {
  const { t, i18n } = useTranslation("operations");
  const percent = new Intl.NumberFormat(i18n.language, { style: "percent", maximumFractionDigits: 1 });
  const { input, output } = marginsOf(offer.model);
  const shown = (permille: number | null): string => (permille === null ? t("models.unknown") : percent.format(permille / 1000));
  const loses = (input ?? 0) < 0 || (output ?? 0) < 0;
  return (
    <span className={`whitespace-nowrap ${loses ? "text-danger font-medium" : ""}`}>
      {shown(input)} / {shown(output)}
      {loses && <span className="block text-xs">{t("models.loss")}</span>}
    </span>
  );
}
