import { broadcastTo } from '../../graph/operations/reduction.ts';
import { Value } from '../../graph/value.ts';
import { lowerToOnnx } from './lower.ts';
import { runOnCard } from './webGpuProbe.ts';

/** Beyond what any driver gives in one buffer; Dawn refuses before it allocates. */
const asked = 2 ** 33;

/** Operands and result of an element-wise operation of two. */
const operandsAtOnce = 3;

/**
 * Most bytes that one tensor may have on the card. ONNX Runtime does not tell the adapter's limits, but a tensor far
 * too large is refused with a message that does; in a process of its own, should a driver take it.
 *
 * @returns Infinity where nothing is known.
 */
export async function findLargestTensor(timeout = 30_000): Promise<number> {
  const x = Value.input('x', [1]);
  const model = lowerToOnnx({ sum: broadcastTo(x, [asked / 4]) });
  const answer = await runOnCard(model, timeout);
  return 'error' in answer ? largestTensorIn(answer.error, asked) : Number.POSITIVE_INFINITY;
}

/**
 * What an error says of the limits: `maxBufferSize`, or how many pieces of `maxStorageBufferBindingSize` a shader may see,
 * of which an operation needs its operands' and its result's.
 *
 * @param bytes Of the tensor that was refused.
 */
export function largestTensorIn(error: string, bytes: number): number {
  const [, buffer] = /exceeds the max buffer size limit \((\d+)\)/.exec(error) ?? [];
  if (buffer !== undefined) return Number(buffer);
  const [, pieces, most] =
    /Too many storage buffers in shader\. Current: (\d+), Max\D*(\d+)/.exec(error) ?? [];
  if (pieces === undefined) return Number.POSITIVE_INFINITY;
  // The scalar that is repeated takes one of them.
  const piece = 2 ** Math.ceil(Math.log2(bytes / (Number(pieces) - 1)));
  return piece * Math.max(1, Math.floor(Number(most) / operandsAtOnce));
}
