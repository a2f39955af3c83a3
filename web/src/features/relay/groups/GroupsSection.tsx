/** Groups of users: what their people pay, and which channels admit them. */
import type { ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Pencil, Plus } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { IconButton } from "@/components/ui/IconButton";
import { Loaded } from "@/components/ui/Loaded";
import { Badge, useNumber } from "@/features/operations/parts/values";
import { channelsQuery } from "@/features/operations/queries";
import type { Channel } from "@/features/operations/types";
import { groupsQuery } from "../queries";
import { GroupDialog } from "./GroupDialog";
import { channelsFor, DEFAULT_GROUP, withDefault, type GroupRow } from "./groups";
import "../relay.css";

export function GroupsSection(): ReactNode {
  const { t } = useTranslation("relay");
  const groups = useQuery(groupsQuery());
  const channels = useQuery(channelsQuery());
  const rows = withDefault(groups.data ?? []);
  return (
    <section className="flex flex-col gap-4" aria-label={t("groups.title")}>
      <div className="flex flex-wrap items-center justify-between gap-3">
        <p className="text-muted max-w-2xl text-sm text-pretty">{t("groups.intro")}</p>
        <GroupDialog group={null}>
          <Button kind="primary">
            <Plus aria-hidden />
            {t("groups.add")}
          </Button>
        </GroupDialog>
      </div>
      <Loaded query={groups} texts="relay" height="14rem">
        <GroupTable rows={rows} channels={channels.data ?? null} />
        {rows.length === 1 && <p className="text-muted max-w-2xl text-sm text-pretty">{t("groups.onlyDefault")}</p>}
      </Loaded>
    </section>
  );
}

function GroupTable({ rows, channels }: { rows: readonly GroupRow[]; channels: readonly Channel[] | null }): ReactNode {
  const { t } = useTranslation("relay");
  const number = useNumber();
  return (
    <div className="panel overflow-hidden">
      <table className="grid-table">
        <caption className="sr-only">{t("groups.title")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("groups.group")}</th>
            <th scope="col" data-number>
              {t("groups.factor")}
            </th>
            <th scope="col" data-number className="hidden sm:table-cell">
              {t("groups.users")}
            </th>
            <th scope="col" className="hidden md:table-cell">
              {t("groups.channels")}
            </th>
            <th scope="col">
              <span className="sr-only">{t("models.actions")}</span>
            </th>
          </tr>
        </thead>
        <tbody>
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
              <td data-number className="hidden sm:table-cell">
                {row.users === null ? t("models.unknown") : number(row.users)}
              </td>
              <td className="hidden md:table-cell">{channels !== null && <Access group={row.name} channels={channels} />}</td>
              <td className="w-0 py-1.5!">
                <EditButton row={row} label={t("groups.editName", { name: row.name })} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
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
