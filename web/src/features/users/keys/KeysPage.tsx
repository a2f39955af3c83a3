/** The reader's API keys: what they may do, when they were used, and the way to make and to revoke them. */
import type { ReactNode } from "react";
import { useQuery } from "@tanstack/react-query";
import { KeyRound } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { ApiKey } from "@/api/types";
import { SidePage } from "@/app/SidePage";
import { Empty, Loaded } from "@/components/ui/Loaded";
import { Connect } from "./Connect";
import { KeyRow } from "./KeyRow";
import { NewKeyDialog } from "./NewKeyDialog";
import { apiKeysQuery, stateOf } from "./queries";
import "./keys.css";

export function KeysPage(): ReactNode {
  const { t } = useTranslation("keys");
  const query = useQuery(apiKeysQuery());
  // As of what is shown; looking again brings a new answer and a new moment.
  const now = new Date(query.dataUpdatedAt);
  const keys = query.data ?? [];
  const usable = keys.filter((key) => stateOf(key, now) === "active");
  const ended = keys.filter((key) => stateOf(key, now) !== "active");
  return (
    <SidePage title={t("title")}>
      <div className="flex flex-wrap items-start justify-between gap-4">
        <p className="text-muted max-w-xl text-sm text-pretty">{t("text")}</p>
        <NewKeyDialog />
      </div>
      <Connect />
      <Loaded query={query} texts="keys" height="12rem">
        {usable.length === 0 && <Empty icon={KeyRound} title={t("empty")} text={t("emptyText")} />}
        {usable.length > 0 && <KeyList label={t("usable")} keys={usable} now={now} />}
        {ended.length > 0 && (
          <details>
            <summary className="disclosure">{t("ended", { count: ended.length })}</summary>
            <div className="mt-2">
              <KeyList label={t("endedLabel")} keys={ended} now={now} />
            </div>
          </details>
        )}
      </Loaded>
    </SidePage>
  );
}

function KeyList({ label, keys, now }: { label: string; keys: readonly ApiKey[]; now: Date }): ReactNode {
  return (
    <ul className="rows" aria-label={label}>
      {keys.map((key) => (
        <KeyRow key={key.id} apiKey={key} state={stateOf(key, now)} />
      ))}
    </ul>
  );
}
