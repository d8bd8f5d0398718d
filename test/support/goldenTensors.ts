/** Reads the golden numbers under `test/fixtures`: safetensors files and the manifests beside them. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const viewOf = {
  F64: Float64Array,
  F32: Float32Array,
  I64: BigInt64Array,
  I32: Int32Array,
  I16: Int16Array,
  U16: Uint16Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;

export type GoldenData = InstanceType<(typeof viewOf)[keyof typeof viewOf]>;

/** `dtype` is the safetensors name; F16 and BF16 are given as raw 16-bit words. */
export interface GoldenTensor<Data = GoldenData> {
  shape: number[];
  dtype: string;
  data: Data;
}

/** The whole set of golden numbers, of which `test/fixtures` holds the part that keeps the repository small. */
const wholeFixtures = process.env.CLIPSELF_FIXTURES;

/** Absolute path of a file under the folder that CLIPSELF_FIXTURES names, where it has one, or `test/fixtures`. */
export function fixturePath(relative: string): string {
  const whole = wholeFixtures ? join(wholeFixtures, relative) : '';
  if (wholeFixtures && existsSync(whole)) return whole;
  return fileURLToPath(new URL(`../fixtures/${relative}`, import.meta.url));
}

/** All tensors of a safetensors file under `test/fixtures` (or at an absolute path), by name. */
export function readGolden(path: string): Map<string, GoldenTensor> {
  const bytes = readFileSync(path.startsWith('/') ? path : fixturePath(path));
  const headerLength = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength)) as Record<
    string,
    { dtype: keyof typeof viewOf; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, GoldenTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const start = 8 + headerLength + entry.data_offsets[0];
    const end = 8 + headerLength + entry.data_offsets[1];
    // A fresh buffer is aligned for every element type.
    const buffer = new Uint8Array(bytes.subarray(start, end)).buffer;
    tensors.set(name, { shape: entry.shape, dtype: entry.dtype, data: new viewOf[entry.dtype](buffer) });
  }
  return tensors;
}

function goldenOf<Data>(
  tensors: Map<string, GoldenTensor>,
  name: string,
  view: new (...unused: never[]) => Data,
): GoldenTensor<Data> {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new Error(`the fixture has no tensor ${name}`);
  if (!(tensor.data instanceof view)) throw new Error(`${name} is ${tensor.dtype}, not ${view.name}`);
  return { ...tensor, data: tensor.data };
}

/** A float32 tensor of the fixture; throws when it is missing or of another type. */
export function goldenFloats(tensors: Map<string, GoldenTensor>, name: string): GoldenTensor<Float32Array> {
  return goldenOf<Float32Array>(tensors, name, Float32Array);
}

/** A uint8 tensor of the fixture; throws when it is missing or of another type. */
export function goldenBytes(tensors: Map<string, GoldenTensor>, name: string): GoldenTensor<Uint8Array> {
  return goldenOf<Uint8Array>(tensors, name, Uint8Array);
}

/** `manifest.json` of a fixture folder, for example `readManifest<{ det_size: number }>('preprocess')`. */
export function readManifest<Manifest = Record<string, unknown>>(folder: string): Manifest {
  const path = folder.startsWith('/') ? `${folder}/manifest.json` : fixturePath(`${folder}/manifest.json`);
  return JSON.parse(readFileSync(path, 'utf8')) as Manifest;
}

/** Largest |a − b|; NaN anywhere gives NaN (so that a comparison with a bound fails). Throws on unequal lengths. */
export function maxAbsDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`compared ${a.length} values with ${b.length}`);
  let largest = 0;
  for (let index = 0; index < a.length; index++) {
    const difference = Math.abs(a[index]! - b[index]!);
    if (!(difference <= largest)) largest = difference;
    if (Number.isNaN(largest)) return Number.NaN;
  }
  return largest;
}
