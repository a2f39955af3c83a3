/** How far each read model is behind the log. Asks again every few seconds while the tab is seen. */
import type { ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { Activity, CircleCheck, TriangleAlert } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Empty, Loaded } from "@/components/ui/Loaded";
import { FROM, GridTable, Section } from "../parts/Section";
import { Badge, Time, useNumber } from "../parts/values";
import { PROJECTIONS_POLL_MS, projectionsQuery } from "../queries";
import type { Projection } from "../types";

export function ProjectionsSection(): ReactNode {
  const { t } = useTranslation("operations");
  const number = useNumber();
  const query = useQuery(projectionsQuery());
  const items = query.data?.items ?? [];
  return (
    <Section label={t("sections.projections")} intro={t("projections.intro", { seconds: PROJECTIONS_POLL_MS / 1000 })}>
      <Loaded query={query} texts="operations" height="12rem">
        <p className="text-sm">
          {t("projections.last", { position: number(query.data?.last_position ?? 0) })}
          <span className="text-muted">
            {" · "}
            {t("projections.asOf")} <Time at={new Date(query.dataUpdatedAt).toISOString()} seconds />
          </span>
        </p>
        {items.length === 0 ? (
          <Empty icon={Activity} title={t("projections.emptyTitle")} text={t("projections.emptyText")} />
        ) : (
          <Table items={items} />
        )}
      </Loaded>
    </Section>
  );
}

function Table({ items }: { items: readonly Projection[] }): ReactNode {
  const { t } = useTranslation("operations");
  const number = useNumber();
  return (
    <GridTable
      caption={t("sections.projections")}
      columns={[
        { title: t("projections.name") },
        { title: t("projections.position"), number: true, from: "sm" },
        { title: t("projections.lag"), number: true },
        { title: t("projections.parked"), number: true },
      ]}
    >
      {items.map((item) => (
        <tr key={item.name}>
          <th scope="row">
            <span className="flex flex-wrap items-center gap-x-2 gap-y-1">
              <span className="font-mono text-[0.8125rem] font-medium">{item.name}</span>
              <State item={item} />
            </span>
            {item.last_error != null && (
              <span className="text-danger mt-1 block text-xs font-normal wrap-anywhere">{t("projections.lastError", { error: item.last_error })}</span>
            )}
          </th>
          <td data-number className={FROM.sm}>
            {number(item.position)}
          </td>
          <td data-number>{number(item.lag)}</td>
          <td data-number className={item.parked > 0 ? "text-danger font-medium" : ""}>
            {number(item.parked)}
          </td>
        </tr>
      ))}
    </GridTable>
  );
}

function State({ item }: { item: Projection }): ReactNode {
  const { t } = useTranslation("operations");
  if (item.parked > 0) {
    return (
      <Badge tone="bad">
        <TriangleAlert aria-hidden className="size-3" />
        {t("projections.broken")}
      </Badge>
    );
  }
  if (item.lag > 0) return <Badge>{t("projections.behind")}</Badge>;
  return (
    <Badge tone="good">
      <CircleCheck aria-hidden className="size-3" />
      {t("projections.current")}
    </Badge>
  );
}
