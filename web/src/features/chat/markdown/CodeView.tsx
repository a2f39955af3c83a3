/** A code block: language, copy button, lines in groups so that a growing block repaints only its end. */
import { Fragment, memo, useMemo, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { CopyButton } from "@/components/ui/CopyButton";
import { KINDS, type TokenLine } from "./highlight.protocol";
import { useHighlight } from "./highlighter";

const GROUP_LINES = 20;

export function CodeView({ language, code, closed }: { language: string; code: string; closed: boolean }): ReactNode {
  const { t } = useTranslation();
  const text = code.endsWith("\n") ? code.slice(0, -1) : code;
  const lines = useMemo(() => text.split("\n"), [text]);
  const coloured = useHighlight(language, lines, closed);
  const groups: ReactNode[] = [];
  for (let first = 0; first < lines.length; first += GROUP_LINES) {
    const end = Math.min(first + GROUP_LINES, lines.length);
    groups.push(<LineGroup key={first} lines={lines.slice(first, end)} coloured={coloured.slice(first, end)} />);
  }
  return (
    <figure className="code">
      <figcaption>
        <span>{language === "" ? t("code.plain") : language}</span>
        <CopyButton text={text} label={t("code.copy")} />
      </figcaption>
      {/* Long lines scroll; the keyboard must reach what scrolls. */}
      <pre tabIndex={0}>
        <code>{groups}</code>
      </pre>
    </figure>
  );
}

interface GroupProps {
  lines: readonly string[];
  coloured: readonly TokenLine[];
}

function sameItems(before: readonly unknown[], after: readonly unknown[]): boolean {
  return before.length === after.length && before.every((item, index) => item === after[index]);
}

const LineGroup = memo(
  function LineGroup({ lines, coloured }: GroupProps): ReactNode {
    return (
      <span className="code-group">
        {lines.map((line, index) => {
          const tokens = coloured[index];
          // Lines never move.
          return <Fragment key={index}>{tokens === undefined ? `${line}\n` : [...tokens.map(colour), "\n"]}</Fragment>;
        })}
      </span>
    );
  },
  (before, after) => sameItems(before.lines, after.lines) && sameItems(before.coloured, after.coloured),
);

function colour([text, kind]: TokenLine[number], index: number): ReactNode {
  if (kind === 0) return text;
  return (
    <span key={index} className={`tk-${KINDS[kind]}`}>
      {text}
    </span>
  );
}
