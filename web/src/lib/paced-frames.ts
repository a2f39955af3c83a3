/**
 * Work for the next frame, at the pace that the machine keeps up with. Where a frame is cheap, every frame is used;
 * where it is dear, the main thread rests after it as long as it took, so that keys are not kept waiting.
 */

/** Hidden tabs paint no frames. */
const HIDDEN_TAB_MS = 250;
/** A frame that costs more than this is dear. */
const DEAR_MS = 10;
const REST = 1;
const MAX_REST_MS = 200;

let freeAt = 0;

function afterPaint(done: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.addEventListener(
    "message",
    () => {
      port1.close();
      done();
    },
    { once: true },
  );
  port1.start();
  port2.postMessage(null);
}

function inFrame(work: () => void): void {
  requestAnimationFrame(() => {
    const began = performance.now();
    work();
    afterPaint(() => {
      const now = performance.now();
      const cost = now - began;
      freeAt = cost > DEAR_MS ? now + Math.min(MAX_REST_MS, cost * REST) : now;
    });
  });
}

/** Runs `work` in one of the next frames; soon, but without a frame, where the tab is hidden. */
export function pacedFrame(work: () => void): void {
  const rest = freeAt - performance.now();
  if (document.hidden) setTimeout(work, HIDDEN_TAB_MS);
  else if (rest > 0) setTimeout(() => inFrame(work), rest);
  else inFrame(work);
}
