import type { ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { Cable, Plus } from "lucide-react";
import { useTranslation } from "react-i18next";
import { buttonClass } from "@/components/ui/Button";
import { Empty, Loaded } from "@/components/ui/Loaded";
import { Notice } from "@/components/ui/Notice";
import { channelsQuery } from "@/features/operations/queries";
import type { OperationsSearch } from "@/features/operations/search";
import type { Channel } from "@/features/operations/types";
import { ChannelHistory } from "../history/ChannelHistory";
import { ChannelCard } from "./ChannelCard";
import { ChannelForm } from "./ChannelForm";
import "../relay.css";

export function ChannelsSection(): ReactNode {
  const { channel, view }: OperationsSearch = useSearch({ strict: false });
  const query = useQuery(channelsQuery());
  if (channel === "new") return <ChannelForm key="new" channel={null} />;
  return (
    <Loaded query={query} texts="relay" height="22rem">
      {channel === undefined ? <ChannelList channels={query.data ?? []} /> : <OneChannel id={channel} view={view} channels={query.data ?? []} />}
    </Loaded>
  );
}

function OneChannel({ id, view, channels }: { id: string; view: string | undefined; channels: readonly Channel[] }): ReactNode {
  const { t } = useTranslation("relay");
  const channel = channels.find((each) => each.id === id);
  if (channel === undefined) return <Notice text={t("problem.channel_not_found")} />;
  return view === "history" ? <ChannelHistory channel={channel} /> : <ChannelForm key={id} channel={channel} />;
}

function AddLink(): ReactNode {
  const { t } = useTranslation("relay");
  return (
    <Link to="/operations/$section" params={{ section: "channels" }} search={{ channel: "new" }} className={buttonClass({ kind: "primary" })}>
      <Plus aria-hidden />
      {t("channels.add")}
    </Link>
  );
}

function ChannelList({ channels }: { channels: readonly Channel[] }): ReactNode {
  const { t } = useTranslation("relay");
  if (channels.length === 0) {
    return (
      <Empty icon={Cable} title={t("channels.emptyTitle")} text={t("channels.emptyText")}>
        <AddLink />
      </Empty>
    );
  }
  return (
    <section className="flex flex-col gap-4" aria-label={t("channels.title")}>
      <div className="flex flex-wrap items-center justify-between gap-3">
        <p className="text-muted max-w-xl text-sm text-pretty">{t("channels.intro")}</p>
        <AddLink />
      </div>
      <ul className="flex flex-col gap-3">
        {channels.map((channel) => (
          <ChannelCard key={channel.id} channel={channel} />
        ))}
      </ul>
    </section>
  );
}
