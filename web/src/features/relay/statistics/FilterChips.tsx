/** What the figures are narrowed to, each to be taken away. */
import type { ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { X } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { channelsQuery } from "@/features/operations/queries";
import type { Statistics } from "@/features/operations/types";
import { FILTERS, type Filter, type StatisticsFilter } from "./filter";

interface Props {
  filter: StatisticsFilter;
  /** Where names may be found. */
  rows?: Statistics | undefined;
  onChange: (filter: StatisticsFilter) => void;
}

export function FilterChips({ filter, rows, onChange }: Props): ReactNode {
  const { t } = useTranslation("relay");
  const channels = useQuery({ ...channelsQuery(), enabled: filter.channel !== undefined });
  const set = FILTERS.filter((name) => filter[name] !== undefined);
  if (set.length === 0 && filter.code === undefined) return null;
  const nameOf = (name: Filter): string => {
    const value = filter[name] ?? "";
    const told = name === "channel" ? channels.data?.find(({ id }) => id === value)?.name : rows?.rows.find(({ group }) => group === value)?.name;
    if (name === "model") return value;
    return told ?? `…${value.slice(-8)}`;
  };
  const without = (name: Filter | "code"): StatisticsFilter => {
    const { [name]: _gone, ...rest } = filter;
    return rest as StatisticsFilter;
  };
  return (
    <ul className="flex flex-wrap gap-2" aria-label={t("statistics.filters")}>
      {set.map((name) => (
        <li key={name}>
          <Chip label={t(`by.${name}`)} value={nameOf(name)} onRemove={() => onChange(without(name))} />
        </li>
      ))}
      {filter.code !== undefined && (
        <li>
          <Chip label={t("calls.code")} value={filter.code} onRemove={() => onChange(without("code"))} />
        </li>
      )}
    </ul>
  );
}

function Chip({ label, value, onRemove }: { label: string; value: string; onRemove: () => void }): ReactNode {
  const { t } = useTranslation("relay");
  return (
    <Button size="small" shape="round" aria-label={t("statistics.removeFilter", { label, value })} onClick={onRemove}>
      <span className="text-muted">{label}</span>
      <span className="max-w-56 truncate">{value}</span>
      <X aria-hidden />
    </Button>
  );
}
