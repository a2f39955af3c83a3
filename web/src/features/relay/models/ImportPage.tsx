/** Taking prices over from the public list that comes with the server: first what would change, then the change. */
import { useState, type FormEvent, type ReactNode } from "react";
import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ArrowLeft, CircleCheck } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button, buttonClass } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { Empty, Loaded } from "@/components/ui/Loaded";
import { Notice } from "@/components/ui/Notice";
import { Spinner } from "@/components/ui/Spinner";
import { notify } from "@/components/ui/toast";
import { useErrorText } from "@/i18n/problems";
import { parseDecimal } from "@/features/operations/decimal";
import { focusHeading } from "@/features/operations/parts/focus-heading";
import { useNumber } from "@/features/operations/parts/values";
import type { Channel, ImportedPrices, PriceList } from "@/features/operations/types";
import { useDraftText } from "../channels/use-channel-form";
import { factorOf } from "../groups/groups";
import { publicPricesQuery, relayKeys } from "../queries";
import { importPrices, previewImport } from "../writes";
import { DifferenceTable } from "./DifferenceTable";
import { differencesOf, importsOf, type Difference } from "./import";

export function ImportPage({ channels }: { channels: readonly Channel[] }): ReactNode {
  const { t } = useTranslation("relay");
  const list = useQuery(publicPricesQuery());
  // Null: prices stay, only costs are taken over.
  const [factor, setFactor] = useState<string | null>(null);
  const preview = useQuery({
    queryKey: [...relayKeys.prices, "preview", factor, channels],
    queryFn: () => previewImport(factor === null ? {} : { factor }),
    staleTime: 0,
    placeholderData: keepPreviousData,
  });
  return (
    <section className="flex flex-col gap-5" aria-label={t("import.title")}>
      <div className="flex items-center gap-2">
        <Link
          to="/operations/$section"
          params={{ section: "models" }}
          search={{}}
          aria-label={t("import.back")}
          title={t("import.back")}
          className={buttonClass({ kind: "quiet", size: "icon" })}
        >
          <ArrowLeft aria-hidden />
        </Link>
        <h2 ref={focusHeading} tabIndex={-1} className="font-display min-w-0 truncate text-2xl outline-none">
          {t("import.title")}
        </h2>
      </div>
      <p className="text-muted max-w-2xl text-sm text-pretty">{t("import.intro")}</p>
      <Loaded query={list} texts="relay" height="6rem">
        {list.data !== undefined && <Source list={list.data} />}
      </Loaded>
      <FactorForm factor={factor} busy={preview.isFetching} onChoose={setFactor} />
      <Loaded query={preview} texts="relay" height="14rem">
        {preview.data !== undefined && <Preview key={factor ?? ""} preview={preview.data} channels={channels} factor={factor} />}
      </Loaded>
    </section>
  );
}

function Source({ list }: { list: PriceList }): ReactNode {
  const { t, i18n } = useTranslation("relay");
  const number = useNumber();
  const date = new Intl.DateTimeFormat(i18n.language, { dateStyle: "long", timeZone: "UTC" }).format(new Date(list.date));
  const facts = [
    { name: t("import.source"), value: list.source, wide: true },
    { name: t("import.date"), value: date, wide: false },
    { name: t("import.models"), value: number(list.models.length), wide: false },
    { name: t("import.currency"), value: list.currency, wide: false },
    ...(list.licence == null ? [] : [{ name: t("import.licence"), value: list.licence, wide: false }]),
  ];
  return (
    <div className="panel flex flex-col gap-3 p-4 text-sm md:p-5">
      <dl className="grid gap-x-8 gap-y-3 sm:grid-cols-2 lg:grid-cols-6">
        {facts.map(({ name, value, wide }) => (
          <div key={name} className={wide ? "sm:col-span-2" : ""}>
            <dt className="text-muted text-xs">{name}</dt>
            <dd className="wrap-anywhere">{value}</dd>
          </div>
        ))}
      </dl>
      {list.url != null && (
        <a href={list.url} target="_blank" rel="noreferrer" className="link self-start font-mono text-[0.8125rem] wrap-anywhere">
          {list.url}
        </a>
      )}
    </div>
  );
}

function FactorForm({ factor, busy, onChoose }: { factor: string | null; busy: boolean; onChoose: (factor: string | null) => void }): ReactNode {
  const { t } = useTranslation("relay");
  const draftText = useDraftText();
  const [typed, setTyped] = useState(factor ?? "");
  const [error, setError] = useState<string>();
  const send = (event: FormEvent): void => {
    event.preventDefault();
    const parsed = parseDecimal(typed);
    if (typed.trim() === "") {
      setError(undefined);
      return onChoose(null);
    }
    if (!parsed.ok) return setError(draftText(parsed.problem));
    if (parsed.nanos <= 0n) return setError(draftText("negative"));
    setError(undefined);
    onChoose(factorOf(typed));
  };
  return (
    <form noValidate onSubmit={send} className="flex flex-wrap items-start gap-3">
      <div className="w-full max-w-sm">
        <Field
          label={t("import.factor")}
          hint={t("import.factorHint")}
          inputMode="decimal"
          autoComplete="off"
          placeholder={t("import.factorNone")}
          value={typed}
          error={error}
          onChange={(event) => setTyped(event.target.value)}
        />
      </div>
      <Button type="submit" className="sm:mt-[1.625rem]" aria-disabled={busy}>
        {busy && <Spinner />}
        {t("import.preview")}
      </Button>
    </form>
  );
}

function Preview({ preview, channels, factor }: { preview: ImportedPrices; channels: readonly Channel[]; factor: string | null }): ReactNode {
  const { t } = useTranslation("relay");
  const { changed, same } = differencesOf(preview, channels);
  return (
    <div className="flex flex-col gap-4">
      {changed.length === 0 ? (
        <Empty icon={CircleCheck} title={t("import.nothingTitle")} text={t("import.nothingText", { count: same })} />
      ) : (
        <ApplyForm changed={changed} same={same} factor={factor} />
      )}
      {preview.unknown.length > 0 && <Unknown preview={preview} channels={channels} />}
    </div>
  );
}

function ApplyForm({ changed, same, factor }: { changed: readonly Difference[]; same: number; factor: string | null }): ReactNode {
  const { t } = useTranslation("relay");
  const client = useQueryClient();
  const errorText = useErrorText("relay");
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const chosen = changed.filter(({ key }) => !left.has(key));
  const { mutate, isPending, error } = useMutation({
    mutationFn: async () => {
      for (const wanted of importsOf(chosen, factor === null ? {} : { factor })) await importPrices(client, wanted);
    },
    onSuccess: () => notify(t("import.done", { count: chosen.length })),
  });
  const toggle = (key: string): void => setLeft((now) => (now.has(key) ? new Set([...now].filter((each) => each !== key)) : new Set([...now, key])));
  return (
    <>
      <p className="text-sm" role="status">
        {t("import.differs", { count: changed.length })}
        {same > 0 && <span className="text-muted"> {t("import.same", { count: same })}</span>}
      </p>
      <DifferenceTable changed={changed} isChosen={(key) => !left.has(key)} onToggle={toggle} />
      {error !== null && <Notice text={errorText(error)} />}
      <Button kind="primary" className="self-end" aria-disabled={isPending || chosen.length === 0} onClick={() => !isPending && chosen.length > 0 && mutate()}>
        {isPending && <Spinner />}
        {t("import.apply", { count: chosen.length })}
      </Button>
    </>
  );
}

function Unknown({ preview, channels }: { preview: ImportedPrices; channels: readonly Channel[] }): ReactNode {
  const { t } = useTranslation("relay");
  const nameOf = (id: string): string => channels.find((channel) => channel.id === id)?.name ?? "";
  return (
    <details className="text-sm">
      <summary className="disclosure">{t("import.unknown", { count: preview.unknown.length })}</summary>
      <p className="text-muted mt-1 max-w-2xl text-pretty">{t("import.unknownText")}</p>
      <ul className="mt-2 flex flex-wrap gap-1.5">
        {preview.unknown.map(({ channel_id, model }) => (
          <li key={`${channel_id} ${model}`} className="border-line rounded-lg border px-2 py-1 wrap-anywhere">
            {model} <span className="text-muted text-xs">{nameOf(channel_id)}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}
