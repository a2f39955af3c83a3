import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Badge, Time } from "@/features/operations/parts/values";
import type { Channel, ChannelHealth } from "@/features/operations/types";

interface Props {
  channel: Channel;
  /** Not empty. */
  ailments: readonly ChannelHealth[];
}

const TONES = { open: "bad", half_open: "plain", dead: "bad" } as const;

/** What rests of a channel, why, and until when; the router goes round it by itself. */
export function Ailments({ channel, ailments }: Props): ReactNode {
  const { t } = useTranslation("relay");
  return (
    <ul className="border-line flex flex-col gap-1.5 rounded-xl border px-3 py-2 text-sm" aria-label={t("health.list", { name: channel.name })}>
      {ailments.map((one) => (
        <li key={`${one.part} ${one.name}`} className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <Badge tone={TONES[one.state]}>{t(`health.${one.state}`)}</Badge>
          <span className="wrap-anywhere">
            <Part channel={channel} one={one} /> <span className="text-muted font-mono text-[0.8125rem]">{one.cause}</span>
          </span>
          <span className="text-muted text-xs">
            <Times one={one} />
            {!one.seen_here && ` · ${t("health.elsewhere")}`}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Part({ channel, one }: { channel: Channel; one: ChannelHealth }): ReactNode {
  const { t } = useTranslation("relay");
  if (one.part === "channel") return t("health.channel");
  if (one.part === "model") return t("health.model", { name: one.name });
  return t("health.key", { hint: channel.keys.find(({ name }) => name === one.name)?.hint ?? "" });
}

function Times({ one: { since, until, times } }: { one: ChannelHealth }): ReactNode {
  const { t } = useTranslation("relay");
  return (
    <>
      {until != null && (
        <>
          {t("health.until")} <Time at={until} seconds />
        </>
      )}
      {until != null && since != null && " · "}
      {since != null && (
        <>
          {t("health.since")} <Time at={since} seconds />
        </>
      )}
      {times > 1 && ` · ${t("health.times", { count: times })}`}
    </>
  );
}
