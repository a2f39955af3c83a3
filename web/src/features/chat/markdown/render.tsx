/** Syntax trees as React elements. Every node kind is named here; what is not named is shown as its text. */
import { Fragment, type ReactNode } from "react";
import type { AlignType, List, ListItem, Nodes, Table } from "mdast";
import { CodeView } from "./CodeView";
import { Formula } from "./Formula";
import { safeHref } from "./links";
import type { Parsed } from "./parse";

interface Context {
  readonly source: string;
  readonly targets: ReadonlyMap<string, string>;
  /** Whether the text may still grow, so that half a code block is not taken for a whole one. */
  readonly growing: boolean;
}

export function render({ root, source }: Parsed, growing: boolean, definitions: string): ReactNode {
  const targets = new Map<string, string>();
  for (const node of root.children) if (node.type === "definition") targets.set(node.identifier, node.url);
  for (const line of definitions.split("\n")) {
    const match = /^\[([^\]]+)\]: <?(\S+?)>?(?:\s|$)/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) targets.set(match[1].toLowerCase(), match[2]);
  }
  return children(root.children, { source, targets, growing });
}

function children(nodes: readonly Nodes[], context: Context): ReactNode {
  return nodes.map((node, index) => <Fragment key={index}>{element(node, context)}</Fragment>);
}

// One flat table of node kinds reads better than twenty functions.
function element(node: Nodes, context: Context): ReactNode {
  switch (node.type) {
    case "text":
      return node.value;
    case "paragraph":
      return <p>{children(node.children, context)}</p>;
    case "heading": {
      // The page's own headings are h1 and h2; a model's start below them.
      const Tag = (["h3", "h3", "h4", "h5", "h6", "h6"] as const)[node.depth - 1] ?? "h6";
      return <Tag data-depth={node.depth}>{children(node.children, context)}</Tag>;
    }
    case "emphasis":
      return <em>{children(node.children, context)}</em>;
    case "strong":
      return <strong>{children(node.children, context)}</strong>;
    case "delete":
      return <del>{children(node.children, context)}</del>;
    case "inlineCode":
      return <code>{node.value}</code>;
    case "break":
      return <br />;
    case "thematicBreak":
      return <hr />;
    case "blockquote":
      return <blockquote>{children(node.children, context)}</blockquote>;
    case "list":
      return list(node, context);
    case "listItem":
      return listItem(node, false, context);
    case "code":
      return <CodeView language={node.lang?.toLowerCase() ?? ""} code={node.value} closed={!context.growing} />;
    case "math":
      return <Formula tex={node.value} display />;
    case "inlineMath":
      return inlineMath(node.value, node.position?.start.offset, node.position?.end.offset, context);
    case "table":
      return table(node, context);
    case "link":
      return <Anchor url={node.url}>{children(node.children, context)}</Anchor>;
    case "linkReference":
      return <Anchor url={context.targets.get(node.identifier) ?? ""}>{children(node.children, context)}</Anchor>;
    case "image":
      return <Anchor url={node.url}>{node.alt === "" || node.alt == null ? node.url : node.alt}</Anchor>;
    case "imageReference":
      return <Anchor url={context.targets.get(node.identifier) ?? ""}>{node.alt ?? node.identifier}</Anchor>;
    case "footnoteReference":
      return <sup className="note-mark">{node.label ?? node.identifier}</sup>;
    case "footnoteDefinition":
      return (
        <div className="note">
          <sup className="note-mark">{node.label ?? node.identifier}</sup>
          <div>{children(node.children, context)}</div>
        </div>
      );
    case "definition":
      return null;
    default:
      return "value" in node ? node.value : null;
  }
}

/** Images are links: the page loads nothing from places that a model names (it would tell them who reads). */
function Anchor({ url, children: content }: { url: string; children: ReactNode }): ReactNode {
  const href = safeHref(url);
  if (href === null) return <span>{content}</span>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {content}
    </a>
  );
}

function list(node: List, context: Context): ReactNode {
  const loose = node.spread === true || node.children.some((item) => item.spread === true);
  const items = node.children.map((item, index) => <Fragment key={index}>{listItem(item, loose, context)}</Fragment>);
  if (node.ordered !== true) return <ul>{items}</ul>;
  return <ol start={node.start ?? 1}>{items}</ol>;
}

function listItem(item: ListItem, loose: boolean, context: Context): ReactNode {
  const content = item.children.map((child, index) => (
    <Fragment key={index}>
      {!loose && child.type === "paragraph" ? children(child.children, context) : element(child, context)}
    </Fragment>
  ));
  if (typeof item.checked !== "boolean") return <li>{content}</li>;
  return (
    <li className="task">
      <span aria-hidden className="task-box" data-checked={item.checked} />
      <div>{content}</div>
    </li>
  );
}

function table(node: Table, context: Context): ReactNode {
  const [head, ...rows] = node.children;
  const align = (index: number): { textAlign?: NonNullable<AlignType> } => {
    const value = node.align?.[index];
    return value == null ? {} : { textAlign: value };
  };
  return (
    // Wide tables scroll; the keyboard must reach what scrolls.
    <div className="table-scroll" role="group" tabIndex={0}>
      <table>
        <thead>
          <tr>
            {head?.children.map((cell, index) => (
              <th key={index} style={align(index)}>
                {children(cell.children, context)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>
              {row.children.map((cell, column) => (
                <td key={column} style={align(column)}>
                  {children(cell.children, context)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** `$5 and $10` is money: a formula neither starts nor ends with a space, and no digit follows its end. */
function inlineMath(value: string, start: number | undefined, end: number | undefined, context: Context): ReactNode {
  if (start === undefined || end === undefined) return <Formula tex={value} display={false} />;
  const raw = context.source.slice(start, end);
  if (raw.startsWith("$$")) return <Formula tex={value} display />;
  const inner = raw.slice(1, -1);
  const money = /^\s|\s$/.test(inner) || /\d/.test(context.source[end] ?? "");
  return money ? raw : <Formula tex={value} display={false} />;
}
