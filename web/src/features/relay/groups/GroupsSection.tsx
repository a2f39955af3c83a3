/** Groups of users: what their people pay, and which channels admit them. */
import type { ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Pencil, Plus } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { IconButton } from "@/components/ui/IconButton";
import { Loaded } from "@/components/ui/Loaded";
import { FROM, GridTable, Section } from "@/features/operations/parts/Section";
import { Badge, useNumber } from "@/features/operations/parts/values";
import { channelsQuery } from "@/features/operations/queries";
import type { Channel } from "@/features/operations/types";
import { groupsQuery } from "../queries";
import { GroupDialog } from "./GroupDialog";
import { channelsFor, DEFAULT_GROUP, withDefault, type GroupRow } from "./groups";
import { RemoveGroup } from "./RemoveGroup";
import "../relay.css";

export function GroupsSection(): ReactNode {
  const { t } = useTranslation("relay");
  const groups = useQuery(groupsQuery());
  const channels = useQuery(channelsQuery());
  const rows = withDefault(groups.data ?? []);
  return (
    <Section
      label={t("groups.title")}
      intro={t("groups.intro")}
      action={
        <GroupDialog group={null}>
          <Button kind="primary">
            <Plus aria-hidden />
            {t("groups.add")}
          </Button>
        </GroupDialog>
      }
    >
      <Loaded query={groups} texts="relay" height="14rem">
        <GroupTable rows={rows} channels={channels.data ?? null} />
        {rows.length === 1 && <p className="text-muted max-w-2xl text-sm text-pretty">{t("groups.onlyDefault")}</p>}
      </Loaded>
    </Section>
  );
}

function GroupTable({ rows, channels }: { rows: readonly GroupRow[]; channels: readonly Channel[] | null }): ReactNode {
  const { t } = useTranslation("relay");
  const number = useNumber();
  return (
    <GridTable
      caption={t("groups.title")}
      columns={[
        { title: t("groups.group") },
        { title: t("groups.factor"), number: true },
        { title: t("groups.users"), number: true, from: "sm" },
        { title: t("groups.channels"), from: "md" },
        { title: t("models.actions"), spoken: true },
      ]}
    >
      {rows.map((row) => (
        <tr key={row.name}>
          <th scope="row">
            <span className="flex flex-wrap items-center gap-2 font-medium wrap-anywhere">
              {row.title === "" ? t("groups.defaultTitle") : row.title}
              {row.name === DEFAULT_GROUP && <Badge>{t("groups.everybodyElse")}</Badge>}
            </span>
            <span className="text-muted block font-mono text-xs font-normal wrap-anywhere">{row.name}</span>
          </th>
          <td data-number>{t("groups.times", { factor: row.factor })}</td>
          <td data-number className={FROM.sm}>
            {row.users === null ? t("models.unknown") : number(row.users)}
          </td>
          <td className={FROM.md}>{channels !== null && <Access group={row.name} channels={channels} />}</td>
          <td className="w-0 py-1.5!">
            <span className="flex justify-end">
              <EditButton row={row} label={t("groups.editName", { name: row.name })} />
              {row.made && row.name !== DEFAULT_GROUP && <RemoveGroup row={row} />}
            </span>
          </td>
        </tr>
      ))}
    </GridTable>
  );
}

function EditButton({ row, label }: { row: GroupRow; label: string }): ReactNode {
  return (
    <GroupDialog group={row}>
      <IconButton label={label}>
        <Pencil aria-hidden />
      </IconButton>
    </GroupDialog>
  );
}

/** Where all admit the group one word says it. */
function Access({ group, channels }: { group: string; channels: readonly Channel[] }): ReactNode {
  const { t } = useTranslation("relay");
  const admitted = channelsFor(group, channels);
  if (channels.length === 0) return <span className="text-muted">{t("groups.noChannels")}</span>;
  if (admitted.length === 0) return <span className="text-danger">{t("groups.none")}</span>;
  if (admitted.length === channels.length) return <span className="text-muted">{t("groups.all", { count: channels.length })}</span>;
  return (
    <ul className="flex flex-wrap gap-x-3 gap-y-1">
      {admitted.map(({ id, name }) => (
        <li key={id}>
          <Link to="/operations/$section" params={{ section: "channels" }} search={{ channel: id }} className="link wrap-anywhere">
            {name}
          </Link>
        </li>
      ))}
    </ul>
  );
}
