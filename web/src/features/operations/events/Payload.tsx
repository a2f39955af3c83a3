/** The JSON of an event. What is sealed for its person stays closed: operators see that it is there, not what it is. */
import type { ReactNode } from "react";
import { Lock } from "lucide-react";
import { useTranslation } from "react-i18next";

const INDENT = "  ";

/** The person whom a sealed field belongs to; null for everything that is not sealed. */
export function sealedFor(value: unknown): string | null {
  if (typeof value !== "object" || value === null || !("$sealed" in value)) return null;
  const seal = value.$sealed;
  const subject = typeof seal === "object" && seal !== null && "subject" in seal ? seal.subject : "";
  return typeof subject === "string" ? subject : "";
}

export function Payload({ value, label }: { value: unknown; label: string }): ReactNode {
  return (
    <pre className="payload" role="group" tabIndex={0} aria-label={label}>
      <Node value={value} depth={0} />
    </pre>
  );
}

function Node({ value, depth }: { value: unknown; depth: number }): ReactNode {
  const subject = sealedFor(value);
  if (subject !== null) return <Seal subject={subject} />;
  if (Array.isArray(value)) return <Entries open="[" close="]" depth={depth} entries={value.map((each) => [null, each])} />;
  if (typeof value === "object" && value !== null) return <Entries open="{" close="}" depth={depth} entries={Object.entries(value)} />;
  return <span className={typeof value === "string" ? undefined : "text-accent"}>{JSON.stringify(value)}</span>;
}

interface EntriesProps {
  open: string;
  close: string;
  depth: number;
  entries: readonly (readonly [name: string | null, value: unknown])[];
}

function Entries({ open, close, depth, entries }: EntriesProps): ReactNode {
  if (entries.length === 0) return open + close;
  return (
    <>
      {open}
      {entries.map(([name, value], index) => (
        <span key={name ?? index}>
          {`\n${INDENT.repeat(depth + 1)}`}
          {name !== null && <span className="text-muted">{`${JSON.stringify(name)}: `}</span>}
          <Node value={value} depth={depth + 1} />
          {index < entries.length - 1 && ","}
        </span>
      ))}
      {`\n${INDENT.repeat(depth)}${close}`}
    </>
  );
}

function Seal({ subject }: { subject: string }): ReactNode {
  const { t } = useTranslation("operations");
  return (
    <span className="seal" title={t("events.sealedFor", { subject })}>
      <Lock aria-hidden />
      {t("events.sealed")}
    </span>
  );
}
