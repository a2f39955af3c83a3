import type { ReactNode } from "react";
import { ArrowRight } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { Difference, RateChange } from "./import";

interface Props {
  changed: readonly Difference[];
  isChosen: (key: string) => boolean;
  onToggle: (key: string) => void;
}

/** Model by model what would change, each to be taken or left. */
export function DifferenceTable({ changed, isChosen, onToggle }: Props): ReactNode {
  const { t } = useTranslation("relay");
  return (
    <div className="panel overflow-x-auto" tabIndex={0} role="group" aria-label={t("import.caption")}>
      <table className="grid-table">
        <caption className="sr-only">{t("import.caption")}</caption>
        <thead>
          <tr>
            <th scope="col">
              <span className="sr-only">{t("import.take")}</span>
            </th>
            <th scope="col">{t("models.model")}</th>
            <th scope="col">{t("models.cost")}</th>
            <th scope="col">{t("models.price")}</th>
          </tr>
        </thead>
        <tbody>
          {changed.map(({ key, channel, model, costs, prices }) => (
            <tr key={key} data-muted={!isChosen(key)}>
              <td className="w-0">
                <label className="tick-alone">
                  <input type="checkbox" checked={isChosen(key)} aria-label={t("import.takeOne", { model, channel: channel.name })} onChange={() => onToggle(key)} />
                </label>
              </td>
              <th scope="row">
                <span className="font-medium wrap-anywhere">{model}</span>
                <span className="text-muted block text-xs font-normal wrap-anywhere">{channel.name}</span>
              </th>
              <td>
                <Changes changes={costs} />
              </td>
              <td>
                <Changes changes={prices} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Changes({ changes }: { changes: readonly RateChange[] }): ReactNode {
  const { t } = useTranslation("relay");
  if (changes.length === 0) return <span className="text-muted">{t("import.stays")}</span>;
  return (
    <ul className="flex flex-col gap-0.5 tabular-nums">
      {changes.map(({ rate, before, after }) => (
        <li key={rate} className="flex flex-wrap items-center gap-x-1.5 whitespace-nowrap">
          <span className="text-muted text-xs">{name(rate)}</span>
          <span className="text-muted">{before === "" ? t("models.unknown") : before}</span>
          <ArrowRight role="img" aria-label={t("import.becomes")} className="text-muted size-3" />
          <span className="font-medium">{after === "" ? t("models.unknown") : after}</span>
        </li>
      ))}
    </ul>
  );

  function name(rate: RateChange["rate"]): string {
    if (rate === "long") return t("import.longLists");
    return rate.startsWith("per_") ? t(`fee.${rate as "per_request"}`) : t(`tier.${rate as "input"}`);
  }
}
