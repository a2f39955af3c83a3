/** One short call through a channel: which model, how long it took, what came back. */
import { useState, type ReactNode } from "react";
import { useMutation } from "@tanstack/react-query";
import { CircleCheck, Zap } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/ui/Button";
import { Notice } from "@/components/ui/Notice";
import { Spinner } from "@/components/ui/Spinner";
import { useErrorText, useProblemText } from "@/i18n/problems";
import { useNumber } from "@/features/operations/parts/values";
import type { Channel, TestResult } from "@/features/operations/types";
import { testChannel } from "@/features/operations/writes";

/** `actions` stand at the end of the same row. */
export function TestCall({ channel, actions }: { channel: Channel; actions: ReactNode }): ReactNode {
  const { t } = useTranslation("relay");
  const errorText = useErrorText("relay");
  const [model, setModel] = useState(channel.models[0]?.name ?? "");
  const { mutate, data, error, isPending } = useMutation({ mutationFn: () => testChannel(channel.id, model === "" ? null : model) });
  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center gap-2">
        <Button aria-disabled={isPending} aria-label={t("test.runFor", { name: channel.name })} onClick={() => !isPending && mutate()}>
          {isPending ? <Spinner /> : <Zap aria-hidden />}
          {isPending ? t("test.running") : t("test.run")}
        </Button>
        {channel.models.length > 1 && (
          <div className="field max-w-full">
            <select aria-label={t("test.model")} value={model} onChange={(event) => setModel(event.target.value)}>
              {channel.models.map(({ name }) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </div>
        )}
        <div className="ml-auto flex items-center gap-1">{actions}</div>
      </div>
      <div role="status">{data !== undefined && !isPending && <Result result={data} />}</div>
      {error !== null && !isPending && <Notice text={errorText(error)} />}
    </div>
  );
}

function Result({ result }: { result: TestResult }): ReactNode {
  const { t } = useTranslation("relay");
  const number = useNumber();
  const problemText = useProblemText("relay");
  const values = { model: result.model, ms: number(result.latency_ms) };
  if (result.ok) {
    return (
      <div className="border-line flex flex-col gap-2 rounded-2xl border p-3 text-sm">
        <p className="text-accent flex items-center gap-2 font-medium">
          <CircleCheck aria-hidden className="size-4 shrink-0" />
          {t("test.answered", values)}
        </p>
        {result.reply != null && <blockquote className="border-line line-clamp-5 border-l-2 pl-3 whitespace-pre-line wrap-anywhere">{result.reply}</blockquote>}
      </div>
    );
  }
  const { code, message } = result.error ?? { code: "unknown", message: "" };
  return (
    <Notice text={t("test.failed", values)}>
      <p className="wrap-anywhere">{problemText(code, message)}</p>
      {message !== "" && <p className="font-mono text-xs wrap-anywhere">{message}</p>}
    </Notice>
  );
}
