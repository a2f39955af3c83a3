/** The keys of a channel: those that the server has, by their ends, and new ones. None is ever shown again. */
import type { ReactNode } from "react";
import { KeyRound, Trash2, Undo2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import { IconButton } from "@/components/ui/IconButton";
import { AreaField } from "@/features/operations/parts/AreaField";
import { Badge } from "@/features/operations/parts/values";
import type { ChannelKey } from "@/features/operations/types";
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
              <KnownKey key={key.name} apiKey={key} number={index + 1} stays={stays(key)} onToggle={() => toggle(key)} />
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

function KnownKey({ apiKey, number, stays, onToggle }: { apiKey: ChannelKey; number: number; stays: boolean; onToggle: () => void }): ReactNode {
  const { t } = useTranslation("relay");
  const name = apiKey.hint === "" ? t("keys.number", { number }) : `…${apiKey.hint}`;
  return (
    <li className="border-line flex min-h-11 items-center gap-3 rounded-xl border py-1 pr-1 pl-3 text-sm">
      <KeyRound aria-hidden className="text-muted size-4 shrink-0" />
      <span className={`min-w-0 flex-1 font-mono text-[0.8125rem] ${stays ? "" : "text-muted line-through"}`}>{name}</span>
      {!stays && <Badge tone="bad">{t("keys.leaves")}</Badge>}
      <IconButton label={stays ? t("keys.remove", { name }) : t("keys.keep", { name })} onClick={onToggle}>
        {stays ? <Trash2 aria-hidden /> : <Undo2 aria-hidden />}
      </IconButton>
    </li>
  );
}
