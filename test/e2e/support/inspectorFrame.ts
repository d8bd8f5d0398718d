/** What the tests of the inspector ask of its document. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Frame } from 'playwright-core';

/** Milliseconds that an answer of the service may take on a slow machine. */
export const PATIENCE = 90_000;

/** Looks again and again; fails after `PATIENCE`. */
export async function until<Result>(
  what: string,
  look: () => Promise<Result | null | false>,
): Promise<Result> {
  const deadline = Date.now() + PATIENCE;
  while (Date.now() < deadline) {
    const found = await look().catch(() => null);
    if (found) return found;
    await sleep(200);
  }
  throw new Error(`waited in vain for ${what}`);
}

/** Different colours in what the first column shows; an image alone has many, a blank canvas one. */
export const colours = (frame: Frame): Promise<number> =>
  frame.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>('.stage-canvas')!;
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
    const seen = new Set<number>();
    for (let i = 0; i < data.length; i += 4 * 97) {
      seen.add((data[i]! << 16) | (data[i + 1]! << 8) | data[i + 2]!);
    }
    return seen.size;
  });

/** A short text that changes when the picture of a column does. */
export const columnPicture = (frame: Frame, column = 0): Promise<string> =>
  frame.evaluate(index => {
    const canvas = document.querySelectorAll<HTMLCanvasElement>('.stage-canvas')[index]!;
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
    let hash = 0;
    for (let i = 0; i < data.length; i += 4 * 31) hash = (hash * 31 + data[i]! + data[i + 1]! * 7) | 0;
    return `${canvas.width}x${canvas.height}:${hash}`;
  }, column);

/** Waits until every column has its map and nothing is being computed. */
export async function settled(frame: Frame): Promise<void> {
  await sleep(300);
  await until('the picture', async () => {
    const idle = await frame.evaluate(
      () =>
        [...document.querySelectorAll<HTMLElement>('.column .status')].every(status => status.hidden) &&
        !/…$/.test(document.querySelector('.toast:not([hidden])')?.textContent ?? ''),
    );
    return idle && (await colours(frame)) > 8;
  });
  await sleep(300);
}

/** From now on the values of maps that come to the panel are held back, until `releaseMapValues`. */
export const holdMapValues = (frame: Frame): Promise<void> =>
  frame.evaluate(() => {
    Reflect.set(window, 'held', []);
    // A listener of ours would come after the panel's own.
    const { get } = Object.getOwnPropertyDescriptor(MessageEvent.prototype, 'data')!;
    Object.defineProperty(MessageEvent.prototype, 'data', {
      configurable: true,
      get(this: MessageEvent) {
        const data = get!.call(this);
        const held: unknown[] | null = Reflect.get(window, 'held');
        // Answers with more than `data` are others.
        const isValues = data?.result?.data instanceof ArrayBuffer && Object.keys(data.result).length === 1;
        if (held === null || !isValues) return data;
        if (!held.includes(data)) held.push(data);
        return { kind: 'held' };
      },
    });
  });

/** How many maps' values are held back. */
export const heldMapValues = (frame: Frame): Promise<number> =>
  frame.evaluate(() => (Reflect.get(window, 'held') as unknown[]).length);

/** Lets the values go that were held back, and those that come. */
export const releaseMapValues = (frame: Frame): Promise<void> =>
  frame.evaluate(() => {
    const held: unknown[] = Reflect.get(window, 'held');
    Reflect.set(window, 'held', null);
    for (const data of held) window.dispatchEvent(new MessageEvent('message', { data }));
  });
