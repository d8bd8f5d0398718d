import { readFile } from 'node:fs/promises';
import { writeAtomically } from '../trainer/checkpoints/atomicFile.ts';
import { writeSafetensors } from '../trainer/checkpoints/safetensors.ts';
import type { FeaturesResult } from '../trainer/inspect/protocol.ts';

/** Largest feature map that is read: 256 × 256 patches of 2048 channels. */
const MAXIMUM_BYTES = 256 * 256 * 2048 * 2;

type FeatureFile = Pick<FeaturesResult, 'file' | 'rows' | 'columns' | 'dimension'>;

/**
 * Bytes of a feature map in the service's cache, in an array buffer of its own.
 *
 * @throws Error when its size is not that of rows × columns × dimension halves.
 */
export async function readFeatures({ file, rows, columns, dimension }: FeatureFile): Promise<ArrayBuffer> {
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

/** NumPy's file format, version 1.0, of little-endian halves in C order. */
export function npyOf(data: ArrayBuffer, shape: readonly number[]): Uint8Array {
  const header = `{'descr': '<f2', 'fortran_order': False, 'shape': (${shape.join(', ')},), }`;
  const preamble = 10;
  // The data begins at a multiple of 64 bytes; the header ends in a line feed.
  const padded = Math.ceil((preamble + header.length + 1) / 64) * 64;
  const result = new Uint8Array(padded + data.byteLength);
  result.set([0x93, ...Buffer.from('NUMPY'), 1, 0]);
  new DataView(result.buffer).setUint16(8, padded - preamble, true);
  result.set(Buffer.from(`${header.padEnd(padded - preamble - 1)}\n`, 'latin1'), preamble);
  result.set(new Uint8Array(data), padded);
  return result;
}

/**
 * Writes a feature map: `.npy` holds [rows, columns, dimension]; `.safetensors` holds it as `dense` beside `valid`, as
 * `clipself features` does, in half precision.
 */
export async function writeFeatures(
  target: string,
  format: 'npy' | 'safetensors',
  features: FeaturesResult,
): Promise<void> {
  const data = await readFeatures(features);
  const shape = [features.rows, features.columns, features.dimension];
  if (format === 'npy') {
    await writeAtomically(target, handle => handle.writeFile(npyOf(data, shape)));
    return;
  }
  const valid = Int32Array.of(features.valid.rows, features.valid.columns);
  await writeSafetensors(target, {
    dense: { shape, dtype: 'float16', data: new Uint16Array(data) },
    valid: { shape: [2], dtype: 'int32', data: valid },
  });
}
