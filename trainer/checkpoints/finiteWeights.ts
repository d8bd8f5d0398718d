import { FileError } from './fileError.ts';

/**
 * Refuses weights that hold NaN or an infinity: every feature computed with them would be NaN, without a message.
 *
 * @param file Named in the error.
 * @throws FileError naming the tensor and the first such element.
 */
export function requireFinite(file: string, name: string, data: Float32Array): void {
  // NaN and infinities give NaN times zero, everything else zero: one pass without a branch.
  let sum = 0;
  for (let index = 0; index < data.length; index++) sum += data[index]! * 0;
  if (sum === 0) return;
  const index = data.findIndex(value => !Number.isFinite(value));
  throw new FileError(
    file,
    `tensor '${name}' holds ${data[index]} at element ${index}, so every feature would be NaN`,
    'Download or export the weights again; if they come from a training run, it diverged',
  );
}
