/** Which calls a channel gets: preference, access, limits, and how long it is read on for nobody. */
import type { ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Field } from "@/components/ui/Field";
import { Notice } from "@/components/ui/Notice";
import { Choices } from "@/features/operations/parts/Choices";
import { Fold } from "@/features/operations/parts/Fold";
import { Ticks } from "@/features/operations/parts/Ticks";
import { withDefault } from "../../groups/groups";
import { troubled } from "../../problems";
import { groupsQuery } from "../../queries";
import { FIRST_PRIORITY, FIRST_WEIGHT, LIMITS, MAX_DRAIN_SECONDS, MAX_PUBLIC_NAME_CHARS, PROBES, type SettingsDraft } from "../settings-draft";
import type { ChannelForm } from "../use-channel-form";

/** Complaints about these stand at their fields. */
const OF_A_FIELD: ReadonlySet<string> = new Set(["priority", "weight", "public_name"]);
/** What a drain of one's own begins with. */
const FIRST_DRAIN = { seconds: "30", tokens: "1000" };

export function RoutingPart({ form }: { form: ChannelForm }): ReactNode {
  const { t } = useTranslation("relay");
  const { draft, editSettings, errors, refusals } = form;
  const { settings } = draft;
  const own = ["priority", "weight", "groups", "limits", "drain", "public_name", "probe"] as const;
  return (
    <Fold title={t("routing.title")} digest={digest(settings)} troubled={troubled(errors, ...own)} refusals={refusals}>
      {own.map((at) => errors[at] !== undefined && !OF_A_FIELD.has(at) && <Notice key={at} text={errors[at]} />)}
      <div className="grid items-start gap-3 md:grid-cols-2">
        <Field
          label={t("routing.priority")}
          hint={t("routing.priorityHint")}
          inputMode="numeric"
          autoComplete="off"
          placeholder={FIRST_PRIORITY}
          value={settings.priority}
          error={errors["priority"]}
          onChange={(event) => editSettings({ priority: event.target.value })}
        />
        <Field
          label={t("routing.weight")}
          hint={t("routing.weightHint")}
          inputMode="numeric"
          autoComplete="off"
          placeholder={FIRST_WEIGHT}
          value={settings.weight}
          error={errors["weight"]}
          onChange={(event) => editSettings({ weight: event.target.value })}
        />
      </div>
      <GroupTicks chosen={settings.groups} onChange={(groups) => editSettings({ groups })} />
      <fieldset className="grid items-start gap-3 md:grid-cols-3">
        <legend className="mb-1.5 text-sm font-medium">{t("routing.limits")}</legend>
        {LIMITS.map((limit) => (
          <Field
            key={limit}
            label={t(`limit.${limit}`)}
            hint={t(`limitHint.${limit}`)}
            inputMode="numeric"
            autoComplete="off"
            placeholder={t("routing.noLimit")}
            value={settings.limits[limit]}
            error={errors[`limits.${limit}`]}
            onChange={(event) => editSettings({ limits: { ...settings.limits, [limit]: event.target.value } })}
          />
        ))}
      </fieldset>
      <DrainFields form={form} />
      <Choices
        legend={t("probe.legend")}
        value={settings.probe}
        choices={PROBES.map((value) => ({ value, label: t(`probe.${value}`), note: t(`probe.${value}Note`) }))}
        onChange={(probe) => editSettings({ probe })}
      />
      <Field
        label={t("routing.publicName")}
        hint={t("routing.publicNameHint")}
        autoComplete="off"
        maxLength={MAX_PUBLIC_NAME_CHARS}
        value={settings.public_name}
        error={errors["public_name"]}
        onChange={(event) => editSettings({ public_name: event.target.value })}
      />
    </Fold>
  );

  function digest({ priority, weight, groups, limits, drain }: SettingsDraft): string {
    const parts = [t("routing.digest", { priority: priority || FIRST_PRIORITY, weight: weight || FIRST_WEIGHT })];
    parts.push(groups.length === 0 ? t("routing.everybody") : groups.join(", "));
    parts.push(LIMITS.some((limit) => limits[limit].trim() !== "") ? t("routing.limited") : t("routing.unlimited"));
    if (drain !== null) parts.push(t("routing.drains", { seconds: drain.seconds }));
    return parts.join(" · ");
  }
}

/** All groups that there are, and those that the channel names though nobody has made them yet. */
function GroupTicks({ chosen, onChange }: { chosen: readonly string[]; onChange: (groups: readonly string[]) => void }): ReactNode {
  const { t } = useTranslation("relay");
  const { data } = useQuery(groupsQuery());
  const made = withDefault(data ?? []);
  const titles = new Map(made.map(({ name, title }) => [name, title]));
  const names = [...new Set([...titles.keys(), ...chosen])];
  const label = (name: string): string => {
    const title = titles.get(name) ?? "";
    return title === "" || title === name ? name : `${title} (${name})`;
  };
  return (
    <Ticks
      legend={t("routing.groups")}
      hint={chosen.length === 0 ? t("routing.groupsNone") : t("routing.groupsSome")}
      options={names.map((value) => ({ value, label: label(value) }))}
      chosen={chosen}
      onChange={onChange}
    />
  );
}

function DrainFields({ form: { draft, editSettings, errors } }: { form: ChannelForm }): ReactNode {
  const { t } = useTranslation("relay");
  const { drain } = draft.settings;
  const choices = (["installation", "own"] as const).map((value) => ({ value, label: t(`drain.${value}`), note: t(`drain.${value}Note`) }));
  return (
    <div className="flex flex-col gap-3">
      <Choices
        legend={t("drain.legend")}
        value={drain === null ? "installation" : "own"}
        choices={choices}
        onChange={(value) => editSettings({ drain: value === "own" ? FIRST_DRAIN : null })}
      />
      {drain !== null && (
        <div className="grid items-start gap-3 md:grid-cols-2">
          <Field
            label={t("drain.seconds")}
            hint={t("drain.secondsHint", { most: MAX_DRAIN_SECONDS })}
            inputMode="numeric"
            autoComplete="off"
            value={drain.seconds}
            error={errors["drain.seconds"]}
            onChange={(event) => editSettings({ drain: { ...drain, seconds: event.target.value } })}
          />
          <Field
            label={t("drain.tokens")}
            hint={t("drain.tokensHint")}
            inputMode="numeric"
            autoComplete="off"
            value={drain.tokens}
            error={errors["drain.tokens"]}
            onChange={(event) => editSettings({ drain: { ...drain, tokens: event.target.value } })}
          />
        </div>
      )}
    </div>
  );
}
