/** One channel: what it is, what it offers, and what can be done with it. */
import type { ReactNode } from "react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { History, KeyRound, Pencil, Route, Trash2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button, buttonClass } from "@/components/ui/Button";
import { Confirm } from "@/components/ui/Confirm";
import { notify, notifyError } from "@/components/ui/toast";
import { useErrorText } from "@/i18n/problems";
import { Switch } from "@/features/operations/parts/Switch";
import { Badge } from "@/features/operations/parts/values";
import type { Channel, ChannelHealth } from "@/features/operations/types";
import { deleteChannel, patchChannel } from "@/features/operations/writes";
import { ratesDraft } from "../rates/rates";
import { Ailments } from "./Ailments";
import { keyHints } from "./draft";
import { TestCall } from "./TestCall";

/** More models than this are counted, not listed. */
const SHOWN_MODELS = 12;

interface Props {
  channel: Channel;
  /** What of it rests. */
  ailments: readonly ChannelHealth[];
}

export function ChannelCard({ channel, ailments }: Props): ReactNode {
  const { t } = useTranslation("relay");
  const { name } = channel;
  const suspended = channel.keys.filter((key) => key.suspended != null).length;
  return (
    <li className="panel flex flex-col gap-4 p-4 md:p-5" data-enabled={channel.enabled}>
      <div className="flex items-start gap-4">
        <div className="flex min-w-0 flex-1 flex-col gap-1">
          <div className="flex flex-wrap items-center gap-2">
            <h2 className="min-w-0 text-lg font-medium wrap-anywhere">{name}</h2>
            <Badge>{t(`provider.${channel.provider}`)}</Badge>
            <Badge tone={channel.enabled ? "good" : "plain"}>{channel.enabled ? t("channels.on") : t("channels.off")}</Badge>
            {suspended > 0 && <Badge tone="bad">{t("channels.suspended", { count: suspended })}</Badge>}
            {channel.tags.map((tag) => (
              <Badge key={tag}>{tag}</Badge>
            ))}
          </div>
          {channel.base_url != null && <p className="text-muted font-mono text-[0.8125rem] wrap-anywhere">{channel.base_url}</p>}
          {channel.keys.length > 0 && (
            <p className="text-muted flex items-center gap-1.5 text-sm">
              <KeyRound aria-hidden className="size-3.5" />
              {t("channels.keys", { count: channel.keys.length, hints: keyHints(channel) })}
            </p>
          )}
          <p className="text-muted flex items-center gap-1.5 text-sm">
            <Route aria-hidden className="size-3.5" />
            {t("routing.digest", { priority: channel.priority, weight: channel.weight })}
            {channel.groups.length > 0 && ` · ${channel.groups.join(", ")}`}
          </p>
          {channel.note !== "" && <p className="line-clamp-2 text-sm whitespace-pre-line wrap-anywhere">{channel.note}</p>}
        </div>
        <EnableSwitch channel={channel} />
      </div>
      {ailments.length > 0 && <Ailments channel={channel} ailments={ailments} />}
      <ModelChips channel={channel} />
      <TestCall
        channel={channel}
        actions={
          <>
            <Link
              to="/operations/$section"
              params={{ section: "channels" }}
              search={{ channel: channel.id }}
              aria-label={t("channels.editName", { name })}
              className={buttonClass({ kind: "quiet" })}
            >
              <Pencil aria-hidden />
              {t("channels.edit")}
            </Link>
            <Link
              to="/operations/$section"
              params={{ section: "channels" }}
              search={{ channel: channel.id, view: "history" }}
              aria-label={t("history.title", { name })}
              title={t("history.link")}
              className={buttonClass({ kind: "quiet", size: "icon" })}
            >
              <History aria-hidden />
            </Link>
            <DeleteButton channel={channel} />
          </>
        }
      />
    </li>
  );
}

function EnableSwitch({ channel }: { channel: Channel }): ReactNode {
  const { t } = useTranslation("relay");
  const client = useQueryClient();
  const errorText = useErrorText("relay");
  const toggle = useMutation({
    mutationFn: (enabled: boolean) => patchChannel(client, channel.id, { enabled }),
    onError: (error) => notifyError(errorText(error)),
  });
  // The wish is shown until the list has the truth.
  const checked = toggle.isPending ? toggle.variables : channel.enabled;
  return (
    <Switch label={t("channels.enableName", { name: channel.name })} checked={checked} disabled={toggle.isPending} onChange={(next) => toggle.mutate(next)} />
  );
}

function ModelChips({ channel }: { channel: Channel }): ReactNode {
  const { t } = useTranslation("relay");
  const shown = channel.models.slice(0, SHOWN_MODELS);
  const hidden = channel.models.length - shown.length;
  return (
    <ul className="flex flex-wrap gap-1.5" aria-label={t("channels.models")}>
      {shown.map(({ name, prices }) => {
        const { input, output } = ratesDraft(prices);
        return (
          <li key={name} className="border-line flex flex-wrap items-baseline gap-x-2 rounded-lg border px-2 py-1 text-sm wrap-anywhere">
            {name}
            <span className="text-muted text-xs tabular-nums">{t("channels.price", { input, output })}</span>
          </li>
        );
      })}
      {hidden > 0 && <li className="text-muted px-2 py-1 text-sm">{t("channels.moreModels", { count: hidden })}</li>}
    </ul>
  );
}

function DeleteButton({ channel }: { channel: Channel }): ReactNode {
  const { t } = useTranslation("relay");
  const client = useQueryClient();
  const errorText = useErrorText("relay");
  const { name } = channel;
  const { mutate, isPending } = useMutation({
    mutationFn: () => deleteChannel(client, channel.id),
    onSuccess: () => notify(t("channels.deleted", { name })),
    onError: (error) => notifyError(errorText(error)),
  });
  return (
    <Confirm title={t("channels.deleteTitle", { name })} text={t("channels.deleteText")} action={t("channels.delete")} onConfirm={() => mutate()}>
      <Button kind="quiet" disabled={isPending} aria-label={t("channels.deleteName", { name })}>
        <Trash2 aria-hidden />
        {t("channels.delete")}
      </Button>
    </Confirm>
  );
}
