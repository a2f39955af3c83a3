/** How operators describe a channel to each other. */
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Field } from "@/components/ui/Field";
import { AreaField } from "@/features/operations/parts/AreaField";
import { Fold } from "@/features/operations/parts/Fold";
import { troubled } from "../../problems";
import { MAX_NOTE_CHARS, tagsOf } from "../settings-draft";
import type { ChannelForm } from "../use-channel-form";

export function NotesPart({ form: { draft, editSettings, errors, refusals } }: { form: ChannelForm }): ReactNode {
  const { t } = useTranslation("relay");
  const { tags, note } = draft.settings;
  const said = [...tagsOf(tags), note.trim().split("\n")[0] ?? ""].filter((text) => text !== "").join(" · ");
  return (
    <Fold title={t("notes.title")} digest={said === "" ? t("notes.none") : said} troubled={troubled(errors, "tags", "note")} refusals={refusals}>
      <Field label={t("notes.tags")} hint={t("notes.tagsHint")} autoComplete="off" value={tags} error={errors["tags"]} onChange={(event) => editSettings({ tags: event.target.value })} />
      <AreaField
        label={t("notes.note")}
        hint={t("notes.noteHint")}
        rows={3}
        maxLength={MAX_NOTE_CHARS}
        value={note}
        error={errors["note"]}
        onChange={(event) => editSettings({ note: event.target.value })}
      />
    </Fold>
  );
}
