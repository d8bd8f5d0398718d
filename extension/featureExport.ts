import { readFile } from 'node:fs/promises';
import { writeAtomically } from '../trainer/checkpoints/atomicFile.ts';
import { npyBytes } from '../trainer/checkpoints/npyFile.ts';
import { writeSafetensors } from '../trainer/checkpoints/safetensors.ts';
import type { FeaturesResult, MapFileResult } from '../trainer/inspect/protocol.ts';

/** Largest feature map that is read: 256 × 256 patches of 2048 channels. */
const MAXIMUM_BYTES = 256 * 256 * 2048 * 2;

/** A feature map and the file that its values lie in. */
export type FeatureFile = Pick<FeaturesResult, 'rows' | 'columns' | 'dimension' | 'valid'> & MapFileResult;

/**
 * Bytes of a feature map in the service's cache, in an array buffer of its own.
 *
 * @throws Error when its size is not that of rows × columns × dimension halves.
 */
export async function readFeatures({
  file,
  rows,
  columns,
  dimension,
}: Omit<FeatureFile, 'valid'>): Promise<ArrayBuffer> {
  const expected = rows * columns * dimension * 2;
  if (expected > MAXIMUM_BYTES) throw new Error(`A map of ${rows} × ${columns} × ${dimension} is too large.`);
  return readExactly(file, expected);
}

/** Bytes of a file that must have this many. */
export async function readExactly(file: string, expected: number): Promise<ArrayBuffer> {
  const bytes = await readFile(file);
  if (bytes.byteLength !== expected) {
    throw new Error(`${file}: ${bytes.byteLength} bytes instead of ${expected}. Ask for the features again.`);
  }
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + expected) as ArrayBuffer;
}

/**
 * Writes a feature map: `.npy` holds [rows, columns, dimension]; `.safetensors` holds it as `dense` beside `valid`, as
 * `clipself features` does, in half precision.
 */
export async function writeFeatures(
  target: string,
  format: 'npy' | 'safetensors',
  features: FeatureFile,
): Promise<void> {
  const data = await readFeatures(features);
  const shape = [features.rows, features.columns, features.dimension];
  if (format === 'npy') {
    const bytes = npyBytes(shape, { float16: new Uint16Array(data) });
    await writeAtomically(target, handle => handle.writeFile(bytes));
    return;
  }
  const valid = Int32Array.of(features.valid.rows, features.valid.columns);
  await writeSafetensors(target, {
    dense: { shape, dtype: 'float16', data: new Uint16Array(data) },
    valid: { shape: [2], dtype: 'int32', data: valid },
  });
}
