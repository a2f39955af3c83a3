/** The keys of a channel: those that the server has, by their ends, and new ones. None is ever shown again. */
import type { ReactNode } from "react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { KeyRound, Trash2, Undo2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { IconButton } from "@/components/ui/IconButton";
import { notify, notifyError } from "@/components/ui/toast";
import { useErrorText } from "@/i18n/problems";
import { AreaField } from "@/features/operations/parts/AreaField";
import { Badge, Time } from "@/features/operations/parts/values";
import type { ChannelKey } from "@/features/operations/types";
import { resumeKey } from "../../writes";
import type { ChannelForm } from "../use-channel-form";

export function KeysEditor({ form: { before, draft, edit, errors } }: { form: ChannelForm }): ReactNode {
  const { t } = useTranslation("relay");
  const known = before?.keys ?? [];
  const stays = (key: ChannelKey): boolean => draft.kept.some(({ name }) => name === key.name);
  // In the order that the server has: calls take turns in it.
  const toggle = (key: ChannelKey): void => edit({ kept: known.filter((each) => (each.name === key.name ? !stays(each) : stays(each))) });
  return (
    <div className="flex flex-col gap-3">
      {known.length > 0 && (
        <div className="flex flex-col gap-1.5">
          <p aria-hidden className="text-sm font-medium">
            {t("keys.known")}
          </p>
          <ul className="flex flex-col gap-1.5" aria-label={t("keys.known")}>
            {known.map((key, index) => (
              <KnownKey key={key.name} channelId={before?.id ?? ""} apiKey={key} number={index + 1} stays={stays(key)} onToggle={() => toggle(key)} />
            ))}
          </ul>
        </div>
      )}
      <AreaField
        label={known.length === 0 ? t("keys.label") : t("keys.add")}
        hint={draft.provider === "bedrock" ? t("keys.hintBedrock") : t("keys.hint")}
        error={errors["keys"]}
        value={draft.keys}
        rows={2}
        data-secret
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        onChange={(event) => edit({ keys: event.target.value })}
      />
    </div>
  );
}

interface KnownKeyProps {
  channelId: string;
  apiKey: ChannelKey;
  number: number;
  stays: boolean;
  onToggle: () => void;
}

function KnownKey({ channelId, apiKey, number, stays, onToggle }: KnownKeyProps): ReactNode {
  const { t } = useTranslation("relay");
  const name = apiKey.hint === "" ? t("keys.number", { number }) : `…${apiKey.hint}`;
  return (
    <li className="border-line flex min-h-11 flex-wrap items-center gap-x-3 rounded-xl border py-1 pr-1 pl-3 text-sm">
      <KeyRound aria-hidden className="text-muted size-4 shrink-0" />
      <span className={`min-w-0 flex-1 font-mono text-[0.8125rem] ${stays ? "" : "text-muted line-through"}`}>{name}</span>
      {stays && <Suspended channelId={channelId} apiKey={apiKey} name={name} />}
      {!stays && <Badge tone="bad">{t("keys.leaves")}</Badge>}
      <IconButton label={stays ? t("keys.remove", { name }) : t("keys.keep", { name })} onClick={onToggle}>
        {stays ? <Trash2 aria-hidden /> : <Undo2 aria-hidden />}
      </IconButton>
    </li>
  );
}

/** A key that the provider called void, and the way to use it again. */
function Suspended({ channelId, apiKey, name }: { channelId: string; apiKey: ChannelKey; name: string }): ReactNode {
  const { t } = useTranslation("relay");
  const client = useQueryClient();
  const errorText = useErrorText("relay");
  const { mutate, isPending, isSuccess } = useMutation({
    mutationFn: () => resumeKey(client, channelId, apiKey.name),
    onSuccess: () => notify(t("keys.resumed", { name })),
    onError: (error) => notifyError(errorText(error)),
  });
  if (apiKey.suspended == null || isSuccess) return null;
  return (
    <>
      <Badge tone="bad">{t("keys.suspended", { code: apiKey.suspended.code })}</Badge>
      <span className="text-muted text-xs">
        <Time at={apiKey.suspended.at} />
      </span>
      <Button size="small" disabled={isPending} aria-label={t("keys.resumeName", { name })} onClick={() => mutate()}>
        {t("keys.resume")}
      </Button>
    </>
  );
}
