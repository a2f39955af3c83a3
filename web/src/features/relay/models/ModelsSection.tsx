/** Every model with what users pay and what it costs us, by channel. */
import { Fragment, useRef, useState, type ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { Boxes, CalendarClock, Download, Pencil } from "lucide-react";
import { useTranslation } from "react-i18next";
import { buttonClass } from "@/components/ui/Button";
import { IconButton } from "@/components/ui/IconButton";
import { Empty, Loaded } from "@/components/ui/Loaded";
import { FROM, GridTable, Section } from "@/features/operations/parts/Section";
import { Badge, useNumber } from "@/features/operations/parts/values";
import { channelsQuery } from "@/features/operations/queries";
import type { OperationsSearch } from "@/features/operations/search";
import { ImportPage } from "./ImportPage";
import { marginsOf, offersOf, type Offer } from "./offers";
import { PriceEditor } from "./PriceEditor";
import { RatesCell } from "./RatesCell";
import "../relay.css";

export function ModelsSection(): ReactNode {
  const { view }: OperationsSearch = useSearch({ strict: false });
  const query = useQuery(channelsQuery());
  return (
    <Loaded query={query} texts="relay" height="18rem">
      {view === "import" ? <ImportPage channels={query.data ?? []} /> : <Offers offers={offersOf(query.data ?? [])} />}
    </Loaded>
  );
}

function Offers({ offers }: { offers: readonly Offer[] }): ReactNode {
  const { t } = useTranslation("relay");
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
    <Section
      label={t("models.title")}
      intro={t("models.intro")}
      action={
        <Link to="/operations/$section" params={{ section: "models" }} search={{ view: "import" }} className={buttonClass()}>
          <Download aria-hidden />
          {t("import.link")}
        </Link>
      }
    >
      <OfferTable offers={offers} />
    </Section>
  );
}

function OfferTable({ offers }: { offers: readonly Offer[] }): ReactNode {
  const { t } = useTranslation("relay");
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
  return (
    <GridTable
      caption={t("models.caption")}
      columns={[
        { title: t("models.model") },
        { title: t("models.price"), number: true },
        { title: t("models.cost"), number: true, from: "md" },
        { title: t("models.margin"), number: true, from: "sm" },
        { title: t("models.context"), number: true, from: "lg" },
        { title: t("models.actions"), spoken: true },
      ]}
    >
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
    </GridTable>
  );
}

function OfferRow({ offer, isOpen, onToggle }: { offer: Offer; isOpen: boolean; onToggle: (button: HTMLElement) => void }): ReactNode {
  const { t } = useTranslation("relay");
  const number = useNumber();
  const { channel, model, state } = offer;
  return (
    <tr data-muted={state === "off"}>
      <th scope="row">
        <span className="flex flex-wrap items-center gap-x-2 gap-y-1 font-medium wrap-anywhere">
          {model.name}
          {state !== "served" && <Badge>{t(`models.${state}`)}</Badge>}
          {model.strategy != null && <Badge>{t(`strategy.${model.strategy}`)}</Badge>}
          {model.upcoming.length > 0 && (
            <Badge tone="good">
              <CalendarClock aria-hidden className="size-3" />
              {t("models.upcoming", { count: model.upcoming.length })}
            </Badge>
          )}
        </span>
        <span className="text-muted block text-xs font-normal wrap-anywhere">
          <Link to="/operations/$section" params={{ section: "channels" }} search={{ channel: channel.id }} className="link">
            {channel.name}
          </Link>
          {model.upstream !== model.name && ` → ${model.upstream}`}
        </span>
      </th>
      <td data-number>
        <RatesCell rates={model.prices} />
      </td>
      <td data-number className={FROM.md}>
        <RatesCell rates={model.costs} />
      </td>
      <td data-number className={FROM.sm}>
        <Margin offer={offer} />
      </td>
      <td data-number className={FROM.lg}>
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

function Margin({ offer }: { offer: Offer }): ReactNode {
  const { t, i18n } = useTranslation("relay");
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
