/** Times what the inspector's panel does with a click, a setting or a key. */

import type { Frame } from 'playwright-core';

/** What is done in the page, and by what one sees that it has been drawn. */
export interface Gesture {
  selector: string;
  /** Value that is set; null for a click. */
  value?: string | null;
  /** Key that is pressed instead. */
  key?: string;
  /** Pattern of the first column's line of numbers, which is written in the same frame as its picture. */
  facts: string;
  /** The line must have changed. */
  fresh?: boolean;
}

/** Milliseconds from the event to the painted frame that shows what it led to. */
export function timeGesture(frame: Frame, gesture: Gesture): Promise<number> {
  return frame.evaluate(async ({ selector, value = null, key, facts, fresh }) => {
    const target = document.querySelector<HTMLInputElement>(selector);
    if (target === null) throw new Error(`there is no ${selector}`);
    const context = document.querySelector<HTMLCanvasElement>('.stage-canvas')!.getContext('2d')!;
    // No functions with names of their own in here: the transpiler would wrap them in a helper that the page lacks.
    const line = document.querySelector('.facts-line')!;
    const pattern = new RegExp(facts);
    const before = line.textContent ?? '';
    let drawn = false;
    context.clearRect = (...area) => {
      CanvasRenderingContext2D.prototype.clearRect.apply(context, area);
      drawn = true;
    };
    const started = performance.now();
    if (key !== undefined) target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    else if (value === null) target.click();
    else {
      target.value = value;
      target.dispatchEvent(new Event(target instanceof HTMLInputElement ? 'input' : 'change'));
    }
    while (!drawn || !pattern.test(line.textContent ?? '') || (fresh && line.textContent === before)) {
      if (performance.now() - started > 30_000)
        throw new Error(`${selector}: ${facts} was not drawn, but "${line.textContent}"`);
      await new Promise(requestAnimationFrame);
    }
    Reflect.deleteProperty(context, 'clearRect');
    // A message sent in the frame's own callback arrives after it has been painted.
    const { port1, port2 } = new MessageChannel();
    const painted = new Promise(resolve => {
      port1.onmessage = resolve;
    });
    port2.postMessage(null);
    await painted;
    return performance.now() - started;
  }, gesture);
}
