import type { ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { Cable, Plus } from "lucide-react";
import { useTranslation } from "react-i18next";
import { buttonClass } from "@/components/ui/Button";
import { Empty, Loaded } from "@/components/ui/Loaded";
import { Notice } from "@/components/ui/Notice";
import { channelsQuery } from "@/features/operations/queries";
import { Section } from "@/features/operations/parts/Section";
import type { OperationsSearch } from "@/features/operations/search";
import type { Channel } from "@/features/operations/types";
import { ChannelHistory } from "../history/ChannelHistory";
import { healthQuery } from "../queries";
import { ChannelCard } from "./ChannelCard";
import { ChannelForm } from "./ChannelForm";
import { ailmentsOf } from "./health";
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
  // A list without it is still a list: a failure to say what rests is not told.
  const health = useQuery({ ...healthQuery(), enabled: channels.length > 0 });
  if (channels.length === 0) {
    return (
      <Empty icon={Cable} title={t("channels.emptyTitle")} text={t("channels.emptyText")}>
        <AddLink />
      </Empty>
    );
  }
  return (
    <Section label={t("channels.title")} intro={t("channels.intro")} action={<AddLink />}>
      <ul className="flex flex-col gap-3">
        {channels.map((channel) => (
          <ChannelCard key={channel.id} channel={channel} ailments={ailmentsOf(channel, health.data ?? [])} />
        ))}
      </ul>
    </Section>
  );
}
