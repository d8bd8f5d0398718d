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
  /** Pattern of what the first column's canvas is called: the line may be the same for two images. */
  label?: string;
  /** Pattern of the first column's legend: the line may be the same for two settings. */
  legend?: string;
}

/**
 * Milliseconds from the event to the painted frame that shows what it led to. Nothing runs in the page meanwhile: asking
 * at every frame would make the browser draw frames of its own.
 */
export function timeGesture(frame: Frame, gesture: Gesture): Promise<number> {
  return frame.evaluate(async ({ selector, value = null, key, facts, label = '', legend = '' }) => {
    const target = document.querySelector<HTMLInputElement>(selector);
    if (target === null) throw new Error(`there is no ${selector}`);
    const canvas = document.querySelector<HTMLCanvasElement>('.stage-canvas')!;
    const context = canvas.getContext('2d')!;
    // No functions with names of their own in here: the transpiler would wrap them in a helper that the page lacks.
    const line = document.querySelector('.facts-line')!;
    const below = document.querySelector('.column-legend')!;
    const patterns = [new RegExp(facts), new RegExp(label), new RegExp(legend)];
    // A message sent in the frame's own callback arrives after it has been painted.
    const { port1, port2 } = new MessageChannel();
    context.clearRect = (...area) => {
      CanvasRenderingContext2D.prototype.clearRect.apply(context, area);
      port2.postMessage(null);
    };
    let started = 0;
    const shown = new Promise<number>((resolve, reject) => {
      const patience = setTimeout(
        () =>
          reject(
            new Error(
              `${selector}: ${patterns.join(', ')} was not drawn, but "${line.textContent}", "${canvas.ariaLabel}", "${below.textContent}"`,
            ),
          ),
        30_000,
      );
      port1.onmessage = () => {
        const now = performance.now();
        const texts = [line.textContent, canvas.ariaLabel, below.textContent];
        if (!patterns.every((pattern, index) => pattern.test(texts[index] ?? ''))) return;
        clearTimeout(patience);
        resolve(now - started);
      };
    });
    started = performance.now();
    if (key !== undefined) target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    else if (value === null) target.click();
    else {
      target.value = value;
      target.dispatchEvent(new Event(target instanceof HTMLInputElement ? 'input' : 'change'));
    }
    return shown.finally(() => {
      Reflect.deleteProperty(context, 'clearRect');
      port1.close();
    });
  }, gesture);
}
