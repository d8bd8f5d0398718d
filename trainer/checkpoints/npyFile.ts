/** NumPy's `.npy` file format, versions 1 to 3: floating-point arrays in C order. */
import type { FileHandle } from 'node:fs/promises';
import { writeAtomically } from './atomicFile.ts';
import { FileError } from './fileError.ts';
import { bytesOf, elementBytes, elementCount } from './hostTensor.ts';
import { readElements, readFully, withPlainFile } from './tensorRange.ts';

/** An array of a `.npy` file, widened or rounded to float32. */
export interface NpyArray {
  readonly shape: readonly number[];
  /** In C order. */
  readonly data: Float32Array;
}

type NpyType = 'float64' | 'float32' | 'float16';

const typeCodes: ReadonlyMap<string, NpyType> = new Map([
  ['<f8', 'float64'],
  ['<f4', 'float32'],
  ['<f2', 'float16'],
]);

const magic = Buffer.from('\x93NUMPY', 'latin1');
/** Headers of plain arrays have about 100 bytes; those of records with many fields are not read anyway. */
const maximumHeaderBytes = 1 << 16;
const maximumRank = 32;
const saveAgain = "Save it again with numpy.save(file, numpy.ascontiguousarray(array, '<f4'))";

const invalid = (file: string, reason: string): FileError =>
  new FileError(file, `not a readable .npy file: ${reason}`, saveAgain);

/**
 * Reads the array of a `.npy` file.
 *
 * @param mostElements Arrays with more elements are refused before memory is taken for them.
 * @throws FileError when the file cannot be read, breaks the format, or holds anything but little-endian floats in C
 *   order.
 */
export function readNpy(file: string, mostElements: number): Promise<NpyArray> {
  return withPlainFile(file, async handle => {
    const { size } = await handle.stat();
    const { text, dataStart } = await readHeader(handle, file, size);
    const { shape, dtype } = parseHeader(file, text);
    const count = elementCount(shape);
    if (!(count <= mostElements))
      throw new FileError(
        file,
        `its array of shape (${shape.join(', ')}) has more than ${mostElements} elements`,
        'Check that it is the right file',
      );
    const expected = count * elementBytes[dtype];
    if (size - dataStart !== expected)
      throw invalid(
        file,
        `shape (${shape.join(', ')}) of ${dtype} takes ${expected} bytes, but ${size - dataStart} follow the header`,
      );
    const data = await readElements(handle, dataStart, count, dtype, true, () => {
      throw invalid(file, 'it ended while it was being read');
    });
    return { shape, data: data as Float32Array };
  });
}

async function readHeader(
  handle: FileHandle,
  file: string,
  size: number,
): Promise<{ text: string; dataStart: number }> {
  const tooShort = (): never => {
    throw invalid(file, `${size} bytes are too few for its header`);
  };
  const start = Buffer.alloc(12);
  if (size < start.length) tooShort();
  await readFully(handle, start, 0, tooShort);
  if (!start.subarray(0, magic.length).equals(magic)) throw invalid(file, 'it does not begin as one');
  const version = start[6]!;
  if (version < 1 || version > 3) throw invalid(file, `version ${version}.${start[7]} is not known`);
  const headerStart = version === 1 ? 10 : 12;
  const length = version === 1 ? start.readUInt16LE(8) : start.readUInt32LE(8);
  if (length > maximumHeaderBytes) throw invalid(file, `its header would be ${length} bytes`);
  if (headerStart + length > size) tooShort();
  const header = Buffer.alloc(length);
  await readFully(handle, header, headerStart, tooShort);
  return { text: header.toString(version === 3 ? 'utf8' : 'latin1'), dataStart: headerStart + length };
}

/** The header is a Python dictionary: a type, the order of the axes and the shape. */
function parseHeader(file: string, text: string): { shape: number[]; dtype: NpyType } {
  const entries = dictionaryEntries(text);
  if (!entries) throw invalid(file, `its header is not understood: ${text.trim().slice(0, 120)}`);
  const type = entries.get('descr')?.slice(1, -1) ?? '';
  const dtype = typeCodes.get(type);
  if (dtype === undefined)
    throw invalid(file, `it holds elements of type '${type}', not little-endian floats`);
  if (entries.get('fortran_order') !== 'False') throw invalid(file, 'it is not in C order');
  const shape = (entries.get('shape') ?? '').match(/\d+/g)?.map(Number) ?? [];
  if (!entries.has('shape') || shape.length > maximumRank || !shape.every(Number.isSafeInteger))
    throw invalid(file, 'its shape is missing or absurd');
  return { shape, dtype };
}

/** Keys and values as written; null when it is no dictionary of texts, truth values and tuples of numbers. */
function dictionaryEntries(text: string): Map<string, string> | null {
  const opened = text.trim();
  if (!opened.startsWith('{') || !opened.endsWith('}')) return null;
  const entries = new Map<string, string>();
  const entry = /\s*'(\w+)'\s*:\s*('[^']*'|True|False|\([\d\s,]*\))\s*(,|$)/y;
  const inner = opened.slice(1, -1).trimEnd();
  while (entry.lastIndex < inner.length) {
    const match = entry.exec(inner);
    if (!match) return null;
    entries.set(match[1]!, match[2]!);
  }
  return entries;
}

/**
 * A `.npy` file of version 1 in C order, in memory.
 *
 * @param data Little-endian elements; float16 as its bits.
 */
export function npyBytes(
  shape: readonly number[],
  data: Float32Array | { readonly float16: Uint16Array },
): Uint8Array {
  const [type, elements] = data instanceof Float32Array ? ['<f4', data] : ['<f2', data.float16];
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const header = `{'descr': '${type}', 'fortran_order': False, 'shape': (${tuple}), }`;
  const preamble = 10;
  // The data begins at a multiple of 64 bytes; the header ends in a line feed.
  const padded = Math.ceil((preamble + header.length + 1) / 64) * 64;
  const bytes = bytesOf(elements as Float32Array | Uint16Array);
  const result = Buffer.alloc(padded + bytes.byteLength);
  magic.copy(result);
  result[6] = 1;
  result.writeUInt16LE(padded - preamble, 8);
  result.write(`${header.padEnd(padded - preamble - 1)}\n`, preamble, 'latin1');
  result.set(bytes, padded);
  return result;
}

/**
 * Writes a float32 array atomically.
 *
 * @throws FileError when it cannot be written.
 */
export async function writeNpy(file: string, { shape, data }: NpyArray): Promise<void> {
  const bytes = npyBytes(shape, data);
  await writeAtomically(file, handle => handle.writeFile(bytes));
}
