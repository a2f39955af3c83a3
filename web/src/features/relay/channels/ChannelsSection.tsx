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
import { ChannelCard } from "./ChannelCard";
import { ChannelForm } from "./ChannelForm";

export function ChannelsSection(): ReactNode {
  const { channel }: OperationsSearch = useSearch({ strict: false });
  const query = useQuery(channelsQuery());
  if (channel === "new") return <ChannelForm key="new" channel={null} />;
  return (
    <Loaded query={query} texts="operations" height="22rem">
      {channel === undefined ? <ChannelList channels={query.data ?? []} /> : <EditChannel id={channel} channels={query.data ?? []} />}
    </Loaded>
  );
}

function EditChannel({ id, channels }: { id: string; channels: readonly Channel[] }): ReactNode {
  const { t } = useTranslation("operations");
  const channel = channels.find((each) => each.id === id);
  if (channel === undefined) return <Notice text={t("problem.channel_not_found")} />;
  return <ChannelForm key={id} channel={channel} />;
}

function AddLink(): ReactNode {
  const { t } = useTranslation("operations");
  return (
    <Link to="/operations/$section" params={{ section: "channels" }} search={{ channel: "new" }} className={buttonClass({ kind: "primary" })}>
      <Plus aria-hidden />
      {t("channels.add")}
    </Link>
  );
}

function ChannelList({ channels }: { channels: readonly Channel[] }): ReactNode {
  const { t } = useTranslation("operations");
  if (channels.length === 0) {
    return (
      <Empty icon={Cable} title={t("channels.emptyTitle")} text={t("channels.emptyText")}>
        <AddLink />
      </Empty>
    );
  }
  return (
    <section className="flex flex-col gap-4" aria-label={t("sections.channels")}>
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
