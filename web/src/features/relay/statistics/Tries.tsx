import type { ReactNode } from "react";
import { CircleCheck, CircleDashed, CircleX } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Badge } from "@/features/operations/parts/values";
import type { Channel, RecordedCall, RecordedTry } from "@/features/operations/types";
import { useFormats } from "./values";

interface Props {
  call: RecordedCall;
  channels: readonly Channel[];
}

const MARKS = { ok: { icon: CircleCheck, tone: "text-accent" }, pending: { icon: CircleDashed, tone: "text-muted" } } as const;
const FAILED = { icon: CircleX, tone: "text-danger" } as const;

/** Everybody who was asked, in order, and who was not and why. */
export function Tries({ call, channels }: Props): ReactNode {
  const { t } = useTranslation("relay");
  return (
    <div className="flex flex-col gap-2">
      <p className="text-muted text-xs font-medium">{t("calls.asked")}</p>
      {call.tries.length === 0 && <p className="text-sm">{t("calls.nobody")}</p>}
      <ol className="flex flex-col gap-1.5" aria-label={t("calls.asked")}>
        {call.tries.map((one, index) => (
          <Try key={index} one={one} number={index + 1} channel={channels.find(({ id }) => id === one.channel_id)} />
        ))}
      </ol>
      {call.left_out.length > 0 && (
        <>
          <p className="text-muted mt-1 text-xs font-medium">{t("calls.leftOut")}</p>
          <ul className="flex flex-col gap-1 text-sm" aria-label={t("calls.leftOut")}>
            {call.left_out.map(({ channel, reason }) => (
              <li key={`${channel} ${reason}`} className="wrap-anywhere">
                {channel} <span className="text-muted">{reason}</span>
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

function Try({ one, number, channel }: { one: RecordedTry; number: number; channel: Channel | undefined }): ReactNode {
  const { t } = useTranslation("relay");
  const { duration } = useFormats();
  const { icon: Icon, tone } = one.outcome === "ok" || one.outcome === "pending" ? MARKS[one.outcome] : FAILED;
  const hint = channel?.keys.find(({ name }) => name === one.key)?.hint ?? "";
  return (
    <li className="border-line flex flex-wrap items-center gap-x-3 gap-y-1 rounded-xl border px-3 py-2 text-sm">
      <Icon aria-hidden className={`size-4 shrink-0 ${tone}`} />
      <span className="text-muted tabular-nums">{number}</span>
      <span className="min-w-44 flex-1 wrap-anywhere">
        {channel?.name ?? `…${one.channel_id.slice(-8)}`}
        <span className="text-muted">
          {` · ${one.model}`}
          {hint !== "" && ` · …${hint}`}
        </span>
      </span>
      {one.hedge === true && <Badge>{t("calls.hedge")}</Badge>}
      <span className={`font-mono text-xs ${one.outcome === "ok" ? "text-accent" : tone}`}>{one.outcome}</span>
      <span className="text-muted text-xs tabular-nums md:w-20 md:text-right">{duration(one.duration_ms)}</span>
      {one.spent === "unknown" && <Badge tone="bad">{t("calls.unknownCost")}</Badge>}
    </li>
  );
}
