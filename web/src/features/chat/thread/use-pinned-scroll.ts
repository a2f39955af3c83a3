/**
 * The one owner of scrolling. While the reader is at the bottom, growing text keeps them there; as soon as they
 * scroll away, nothing moves them until they come back or ask to.
 */
import { useEffect, useRef, useState, type RefObject } from "react";

const TOLERANCE_PX = 1;

function distanceToBottom(box: HTMLElement): number {
  return box.scrollHeight - box.scrollTop - box.clientHeight;
}

export interface PinnedScroll {
  /** Whether the bottom is followed. */
  pinned: boolean;
  toBottom: () => void;
  /** Keeps the bottom in view, if it is followed, without waiting for the observer's next turn. */
  follow: () => void;
}

export function usePinnedScroll(scroller: RefObject<HTMLElement | null>, content: RefObject<HTMLElement | null>): PinnedScroll {
  const [pinned, setPinned] = useState(true);
  const follows = useRef(true);

  const toBottom = (): void => {
    follows.current = true;
    setPinned(true);
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
  };

  const follow = (): void => {
    if (follows.current) scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
  };

  useEffect(() => {
    const box = scroller.current;
    if (box === null || content.current === null) return undefined;
    let top = box.scrollTop;
    let height = box.scrollHeight;
    const pin = (value: boolean): void => {
      if (follows.current === value) return;
      follows.current = value;
      setPinned(value);
    };
    const onScroll = (): void => {
      // Up without the content having shrunk is the reader's hand; everything else is ours or the list's.
      const byReader = box.scrollTop < top - TOLERANCE_PX && box.scrollHeight >= height;
      if (distanceToBottom(box) <= TOLERANCE_PX) pin(true);
      else if (byReader) pin(false);
      top = box.scrollTop;
      height = box.scrollHeight;
    };
    const grown = new ResizeObserver(() => {
      if (follows.current && distanceToBottom(box) > 0) box.scrollTop = box.scrollHeight;
    });
    grown.observe(content.current);
    grown.observe(box);
    box.addEventListener("scroll", onScroll, { passive: true });
    return () => {
      grown.disconnect();
      box.removeEventListener("scroll", onScroll);
    };
  }, [scroller, content]);

  return { pinned, toBottom, follow };
}
