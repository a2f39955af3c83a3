import { useRef, type ReactNode } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import type { ApiKey } from "@/api/types";
import { Button } from "@/components/ui/Button";
import { Confirm } from "@/components/ui/Confirm";
import { notify, notifyError } from "@/components/ui/toast";
import { useErrorText } from "@/i18n/problems";
import { formatDate } from "@/lib/dates";
import { revokeKey, type KeyState } from "./queries";
import { knownScope } from "./scopes";

/** One key: its name and end, what it may do, its dates. */
export function KeyRow({ apiKey, state }: { apiKey: ApiKey; state: KeyState }): ReactNode {
  const { t } = useTranslation("keys");
  return (
    <li className="row flex-col sm:flex-row">
      <div className="flex min-w-0 flex-1 flex-col gap-1.5">
        <p className="flex flex-wrap items-center gap-x-2.5 gap-y-1">
          <span className="font-medium wrap-anywhere">{apiKey.name}</span>
          <code className="text-muted font-mono text-xs">{t("hint", { hint: apiKey.hint })}</code>
          {state !== "active" && (
            <span className="badge" data-danger>
              {t(`state.${state}`)}
            </span>
          )}
        </p>
        <p className="flex flex-wrap gap-1">
          {apiKey.scopes.map((name) => {
            const scope = knownScope(name);
            return (
              <span key={name} className="badge">
                {scope === null ? name : t(`scope.${scope}`)}
              </span>
            );
          })}
        </p>
        <p className="text-muted text-xs wrap-anywhere">{apiKey.models == null ? t("allModels") : apiKey.models.join(", ")}</p>
        <Dates apiKey={apiKey} />
      </div>
      {state !== "revoked" && <RevokeButton apiKey={apiKey} />}
    </li>
  );
}

function Dates({ apiKey }: { apiKey: ApiKey }): ReactNode {
  const { t, i18n } = useTranslation("keys");
  const when = (iso: string): string => formatDate(iso, i18n.language, "moment");
  const parts = [
    t("created", { when: when(apiKey.created_at) }),
    apiKey.last_used_at == null ? t("neverUsed") : t("lastUsed", { when: when(apiKey.last_used_at) }),
    apiKey.revoked_at != null
      ? t("revoked", { when: when(apiKey.revoked_at) })
      : apiKey.expires_at == null
        ? t("neverExpires")
        : t("expires", { when: when(apiKey.expires_at) }),
  ];
  return (
    <p className="text-muted flex flex-wrap gap-x-3 text-xs">
      {parts.map((part) => (
        <span key={part}>{part}</span>
      ))}
    </p>
  );
}

function RevokeButton({ apiKey }: { apiKey: ApiKey }): ReactNode {
  const { t } = useTranslation("keys");
  const text = useErrorText("keys");
  const client = useQueryClient();
  const button = useRef<HTMLButtonElement>(null);
  const revoke = (): void => {
    revokeKey(client, apiKey.id).then(
      () => {
        notify(t("revokedNote", { name: apiKey.name }));
        // The button that had the focus goes with its row.
        if (document.activeElement === document.body || document.activeElement === button.current) document.getElementById("main")?.focus();
      },
      (error: unknown) => notifyError(text(error)),
    );
  };
  return (
    <Confirm title={t("revokeTitle", { name: apiKey.name })} text={t("revokeText")} action={t("revoke")} onConfirm={revoke}>
      <Button ref={button} kind="danger" size="small" className="self-start" aria-label={t("revokeName", { name: apiKey.name })}>
        {t("revoke")}
      </Button>
    </Confirm>
  );
}
