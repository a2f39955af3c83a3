/** For whoever writes a program: the address that its SDK wants, and a first call to copy. */
import type { ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { Tabs } from "radix-ui";
import { useTranslation } from "react-i18next";
import { CopyButton } from "@/components/ui/CopyButton";
import { modelsQuery } from "@/features/chat/queries";
import { baseUrlOf, DIALECTS, firstCalls, type Dialect, type FirstCall } from "./connect";

export function Connect(): ReactNode {
  const { t } = useTranslation("keys");
  const { data } = useQuery(modelsQuery());
  const offered = data?.items ?? [];
  const model = offered.find((each) => each.default)?.id ?? offered[0]?.id ?? "";
  return (
    <section className="card flex flex-col gap-3" aria-labelledby="connect">
      <div>
        <h2 id="connect" className="text-sm font-medium">
          {t("connect.title")}
        </h2>
        <p className="text-muted text-sm text-pretty">{t("connect.text")}</p>
      </div>
      <Tabs.Root defaultValue={DIALECTS[0]} className="flex flex-col gap-3">
        <Tabs.List aria-label={t("connect.dialect")} className="segments">
          {DIALECTS.map((dialect) => (
            <Tabs.Trigger key={dialect} value={dialect} className="segment">
              {t(`connect.${dialect}`)}
            </Tabs.Trigger>
          ))}
        </Tabs.List>
        {DIALECTS.map((dialect) => (
          <Tabs.Content key={dialect} value={dialect} tabIndex={-1} className="flex min-w-0 flex-col gap-3 data-[state=inactive]:hidden">
            <BaseUrl dialect={dialect} />
            <FirstCalls calls={firstCalls(dialect, { origin: location.origin, model })} />
          </Tabs.Content>
        ))}
      </Tabs.Root>
    </section>
  );
}

function BaseUrl({ dialect }: { dialect: Dialect }): ReactNode {
  const { t } = useTranslation("keys");
  const url = baseUrlOf(dialect, location.origin);
  return (
    <div className="flex flex-wrap items-center gap-x-4 gap-y-1 text-sm">
      <span className="text-muted">{t("baseUrl")}</span>
      <code className="min-w-0 flex-1 font-mono text-[0.8125rem] wrap-anywhere">{url}</code>
      <CopyButton text={url} label={t("copyBaseUrl")} />
    </div>
  );
}

function FirstCalls({ calls }: { calls: readonly FirstCall[] }): ReactNode {
  const { t } = useTranslation("keys");
  return (
    <details>
      <summary className="disclosure">{t("connect.firstCall")}</summary>
      <Tabs.Root defaultValue={calls[0]?.sdk ?? ""} className="mt-2 flex flex-col gap-2">
        <Tabs.List aria-label={t("connect.sdk")} className="segments">
          {calls.map(({ sdk }) => (
            <Tabs.Trigger key={sdk} value={sdk} className="segment">
              {t(`sdk.${sdk}`)}
            </Tabs.Trigger>
          ))}
        </Tabs.List>
        {calls.map(({ sdk, text }) => (
          <Tabs.Content key={sdk} value={sdk} tabIndex={-1} className="snippet">
            <pre tabIndex={0} role="group" aria-label={t(`sdk.${sdk}`)}>
              <code>{text}</code>
            </pre>
            <CopyButton text={text} label={t("secret.copyCall")} />
          </Tabs.Content>
        ))}
      </Tabs.Root>
    </details>
  );
}
