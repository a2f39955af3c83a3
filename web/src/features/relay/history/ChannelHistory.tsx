/** Who changed what of a channel and when, and the way back to each of its states. */
import { useState, type ReactNode } from "react";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ArrowLeft, ChevronRight, Undo2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button, buttonClass } from "@/components/ui/Button";
import { Confirm } from "@/components/ui/Confirm";
import { Loaded, MoreButton } from "@/components/ui/Loaded";
import { notify, notifyError } from "@/components/ui/toast";
import { useErrorText } from "@/i18n/problems";
import { Payload } from "@/features/operations/events/Payload";
import { focusHeading } from "@/features/operations/parts/focus-heading";
import { Badge, Time } from "@/features/operations/parts/values";
import type { Channel, ChannelChange } from "@/features/operations/types";
import { historyQuery } from "../queries";
import { revertChannel } from "../writes";
import { kindOf } from "./kinds";

export function ChannelHistory({ channel }: { channel: Channel }): ReactNode {
  const { t } = useTranslation("relay");
  const query = useInfiniteQuery(historyQuery(channel.id));
  const changes = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <section className="flex flex-col gap-5" aria-label={t("history.title", { name: channel.name })}>
      <div className="flex items-center gap-2">
        <Link
          to="/operations/$section"
          params={{ section: "channels" }}
          search={{ channel: channel.id }}
          aria-label={t("history.back")}
          title={t("history.back")}
          className={buttonClass({ kind: "quiet", size: "icon" })}
        >
          <ArrowLeft aria-hidden />
        </Link>
        <h2 ref={focusHeading} tabIndex={-1} className="font-display min-w-0 truncate text-2xl outline-none">
          {t("history.title", { name: channel.name })}
        </h2>
      </div>
      <p className="text-muted max-w-2xl text-sm text-pretty">{t("history.intro")}</p>
      <Loaded query={query} texts="relay" height="18rem">
        <ol className="panel divide-line divide-y overflow-hidden" aria-label={t("history.list")}>
          {changes.map((change, index) => (
            <ChangeItem key={change.version} channel={channel} change={change} isNow={index === 0} />
          ))}
        </ol>
        <MoreButton query={query} />
      </Loaded>
    </section>
  );
}

/** `user:<id>` leads to the user; whoever else writes has a name of its own. */
function Author({ actor }: { actor: string | null }): ReactNode {
  const { t } = useTranslation("relay");
  const user = /^user:(.+)$/.exec(actor ?? "")?.[1];
  if (user === undefined) return <span>{actor ?? t("history.nobody")}</span>;
  return (
    <Link to="/operations/$section" params={{ section: "users" }} search={{ user }} className="link">
      {t("history.user", { id: user.slice(-8) })}
    </Link>
  );
}

function ChangeItem({ channel, change, isNow }: { channel: Channel; change: ChannelChange; isNow: boolean }): ReactNode {
  const { t } = useTranslation("relay");
  const [open, setOpen] = useState(false);
  const kind = kindOf(change.kind);
  return (
    <li>
      <details className="event-row" onToggle={(toggled) => setOpen(toggled.currentTarget.open)}>
        <summary>
          <ChevronRight aria-hidden />
          <span className="min-w-40 flex-1 text-sm font-medium">{kind === null ? change.kind : t(`change.${kind}`)}</span>
          {isNow && <Badge tone="good">{t("history.now")}</Badge>}
          <span className="text-muted text-xs">
            <Time at={change.at} seconds />
          </span>
          <span className="text-muted w-10 text-right text-xs tabular-nums">{change.version}</span>
        </summary>
        {open && (
          <div className="flex flex-col gap-3 px-4 pt-1 pb-4">
            <p className="text-muted text-sm">
              {t("history.by")} <Author actor={change.actor ?? null} />
            </p>
            <Payload value={change.change} label={t("history.change")} />
            {!isNow && <RevertButton channel={channel} change={change} />}
          </div>
        )}
      </details>
    </li>
  );
}

function RevertButton({ channel, change }: { channel: Channel; change: ChannelChange }): ReactNode {
  const { t } = useTranslation("relay");
  const client = useQueryClient();
  const errorText = useErrorText("relay");
  const { version } = change;
  const { mutate, isPending } = useMutation({
    mutationFn: () => revertChannel(client, channel.id, version),
    onSuccess: () => notify(t("history.reverted", { version })),
    onError: (error) => notifyError(errorText(error)),
  });
  return (
    <Confirm title={t("history.revertTitle", { version })} text={t("history.revertText", { name: channel.name })} action={t("history.revert")} onConfirm={() => mutate()}>
      <Button className="self-start" size="small" disabled={isPending}>
        <Undo2 aria-hidden />
        {t("history.revertTo", { version })}
      </Button>
    </Confirm>
  );
}
