/**
 * A long finished text is put on screen from its end, a piece a frame, so that opening it never holds the page up: the
 * reader stands at its end, and what is added above moves nothing that they see.
 */
import { startTransition, useEffect, useState } from "react";
import type { Block } from "./split";

/** Characters that one frame adds. */
const PIECE = 2_500;
/** Texts that were on screen whole; they come back whole, at the height that the list remembers. */
const MAX_KNOWN = 100;
const known = new Set<string>();

function remember(text: string): void {
  if (known.size >= MAX_KNOWN) known.clear();
  known.add(text);
}

/** Where the piece that ends before block `end` begins. */
export function pieceStart(blocks: readonly Block[], end: number): number {
  let start = end;
  for (let length = 0; start > 0 && length < PIECE; start -= 1) length += blocks[start - 1]?.text.length ?? 0;
  return start;
}

/** The first block to show; 0 soon. A growing text is always shown whole. */
export function useBackfill(text: string, blocks: readonly Block[], growing: boolean): number {
  const [from, setFrom] = useState(() => (growing || known.has(text) ? 0 : pieceStart(blocks, blocks.length)));
  useEffect(() => {
    if (from === 0) {
      if (!growing) remember(text);
      return undefined;
    }
    const frame = requestAnimationFrame(() => startTransition(() => setFrom(pieceStart(blocks, from))));
    return () => cancelAnimationFrame(frame);
  }, [from, blocks, growing, text]);
  return Math.min(from, blocks.length);
}
