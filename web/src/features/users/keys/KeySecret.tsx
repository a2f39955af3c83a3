/** A new key's secret, this once, and calls that can be made with it at once. */
import { useEffect, useRef, type ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { Tabs } from "radix-ui";
import { useTranslation } from "react-i18next";
import type { CreatedApiKey } from "@/api/types";
import { Button } from "@/components/ui/Button";
import { CopyButton } from "@/components/ui/CopyButton";
import { modelsQuery } from "@/features/chat/queries";
import { SCOPES } from "./scopes";
import { snippetsOf } from "./snippets";

export function KeySecret({ created, onDone }: { created: CreatedApiKey; onDone: () => void }): ReactNode {
  const { t } = useTranslation("keys");
  const field = useRef<HTMLInputElement>(null);
  // The form that had the focus is gone.
  useEffect(() => field.current?.select(), []);
  return (
    <div className="flex flex-col gap-5 pb-2">
      <div className="flex flex-col gap-2">
        <p id="secret-text" className="text-sm text-pretty">
          {t("secret.text")}
        </p>
        <div className="field">
          <input
            ref={field}
            readOnly
            value={created.key}
            aria-label={t("secret.label")}
            aria-describedby="secret-text"
            className="font-mono"
            spellCheck={false}
            onFocus={(event) => event.currentTarget.select()}
          />
          <CopyButton text={created.key} label={t("secret.copy")} />
        </div>
      </div>
      <Snippets created={created} />
      <Button kind="primary" onClick={onDone}>
        {t("secret.done")}
      </Button>
    </div>
  );
}

function Snippets({ created }: { created: CreatedApiKey }): ReactNode {
  const { t } = useTranslation("keys");
  const { data } = useQuery(modelsQuery());
  const offered = data?.items ?? [];
  const model = created.models?.[0] ?? offered.find((each) => each.default)?.id ?? offered[0]?.id ?? "";
  const snippets = snippetsOf({ origin: location.origin, key: created.key, scopes: SCOPES.filter((scope) => created.scopes.includes(scope)), model });
  return (
    <Tabs.Root defaultValue="curl" className="flex flex-col gap-2">
      <p className="text-sm font-medium">{t("secret.try")}</p>
      <Tabs.List aria-label={t("secret.try")} className="segments">
        {snippets.map(({ name }) => (
          <Tabs.Trigger key={name} value={name} className="segment">
            {t(`secret.${name}`)}
          </Tabs.Trigger>
        ))}
      </Tabs.List>
      {snippets.map(({ name, text }) => (
        <Tabs.Content key={name} value={name} tabIndex={-1} className="snippet">
          <pre tabIndex={0} role="group" aria-label={t(`secret.${name}`)}>
            <code>{text}</code>
          </pre>
          <CopyButton text={text} label={t("secret.copyCall")} />
        </Tabs.Content>
      ))}
    </Tabs.Root>
  );
}
