import { cellsAlong, type VisionArchitecture } from '../models/architecture.ts';
import { InspectError } from './inspectError.ts';

const float32Bytes = 4;
/** The scores and their softmax are alive together. */
const attentionCopies = 2;
/** Tokens of a block that are alive together, in multiples of its width: input, norm, q, k, v, joined, MLP, output. */
const tokenCopies = 16;

/** Peak memory of one block of a forward pass over a square image, bytes. */
export function forwardBytes(
  architecture: Pick<VisionArchitecture, 'patchSize' | 'width' | 'heads'>,
  size: number,
): number {
  const { width, heads } = architecture;
  const tokens = cellsAlong(size, architecture) ** 2 + 1;
  return float32Bytes * (attentionCopies * heads * tokens ** 2 + tokenCopies * width * tokens);
}

/**
 * Refuses what would not fit, before the system runs out of memory and ends the process.
 *
 * @param needed Bytes at a size in pixels.
 * @param available Bytes.
 */
export function checkMemory(
  patchSize: number,
  size: number,
  available: number,
  needed: (size: number) => number,
): void {
  if (needed(size) <= available) return;
  // The largest grid below this one.
  let smaller = (cellsAlong(size, { patchSize }) - 1) * patchSize;
  while (smaller > patchSize && needed(smaller) > available) smaller -= patchSize;
  const gib = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);
  throw new InspectError(
    'outOfMemory',
    `At ${size} px this takes about ${gib(needed(size))} GiB of memory and ${gib(available)} GiB are free. ` +
      `Choose ${smaller} px or less`,
    { suggestedSize: smaller },
  );
}

/** What the system still has, short of the last tenth; `limit` bytes at most. */
export const availableBytes = (limit: number): number => Math.min(limit, process.availableMemory() * 0.9);
