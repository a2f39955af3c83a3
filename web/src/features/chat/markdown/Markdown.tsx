/** A model's text. Finished blocks are rendered once; while the text grows only its last block is worked on. */
import { memo, useMemo, useState, type ReactNode } from "react";
import remend from "remend";
import { CodeView } from "./CodeView";
import { Formula } from "./Formula";
import { parse } from "./parse";
import { render } from "./render";
import { useBackfill } from "./use-backfill";
import { Splitter, type Block, type MarkdownBlock } from "./split";

export default function Markdown({ text, growing }: { text: string; growing: boolean }): ReactNode {
  const [splitter] = useState(() => new Splitter());
  const blocks = useMemo(() => splitter.update(text), [splitter, text]);
  const from = useBackfill(text, blocks, growing);
  return (
    <div className="prose" data-partial={from > 0 ? true : undefined}>
      {blocks.slice(from).map((block, index) => (
        // A block never changes its place, so its index is its identity.
        <BlockView key={from + index} block={block} growing={growing && from + index === blocks.length - 1} />
      ))}
    </div>
  );
}

interface Props {
  block: Block;
  growing: boolean;
}

function sameBlock(before: Props, after: Props): boolean {
  return before.growing === after.growing && before.block === after.block;
}

const BlockView = memo(function BlockView({ block, growing }: Props): ReactNode {
  if (block.kind === "code") {
    return <CodeView language={block.language} code={block.text} closed={block.closed || !growing} />;
  }
  if (block.kind === "math") {
    return block.closed || !growing ? <Formula tex={block.text} display /> : <pre className="formula-source" data-formula>{block.text}</pre>;
  }
  return <MarkdownView block={block} growing={growing} />;
}, sameBlock);

function MarkdownView({ block, growing }: { block: MarkdownBlock; growing: boolean }): ReactNode {
  return useMemo(() => {
    // Half an emphasis at the end is closed, so that text does not flicker between plain and bold.
    const text = growing ? remend(block.text.trimEnd(), { linkMode: "text-only" }) : block.text;
    return render(parse(text, block.definitions), growing, block.definitions);
  }, [block, growing]);
}
