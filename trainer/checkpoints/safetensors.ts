/**
 * The safetensors file format: 8 bytes with the header's length, a JSON header, the tensors.
 * All numbers are little-endian, as are all the machines that Node's typed arrays run on here.
 */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { writeAtomically, writeFully } from './atomicFile.ts';
import { FileError, naming } from './fileError.ts';
import { widenBfloat16, widenFloat16 } from './halfPrecision.ts';
import {
  bytesOf,
  elementBytes,
  elementCount,
  type HostTensor,
  type TensorData,
  viewAs,
} from './hostTensor.ts';
import { parseSafetensorsHeader, quoted, type TensorEntry, typeCodes } from './safetensorsHeader.ts';

/** The format's own limit of the header. */
const maximumHeaderBytes = 100_000_000;
/** Reads go in pieces: one system call moves at most 2 GiB, and conversion needs one piece of scratch memory. */
const pieceBytes = 1 << 22;

/** Header of a safetensors file, validated against the file's size. */
export interface SafetensorsHeader {
  readonly file: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Position in the file of the first tensor's first byte. */
  readonly dataStart: number;
}

/** Tensors by name, and the strings that the writer attached. */
export interface SafetensorsContent {
  readonly tensors: Map<string, HostTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface ReadOptions {
  /** Which tensors to read; all without it. */
  only?: (name: string, entry: TensorEntry) => boolean;
  /** Converts float64, float16 and bfloat16 to float32; integers stay. */
  asFloat32?: boolean;
}

function invalid(file: string, reason: string): FileError {
  return new FileError(file, `not a valid safetensors file: ${reason}`, 'Download or export the file again');
}

async function readFully(
  handle: FileHandle,
  target: Uint8Array,
  position: number,
  file: string,
): Promise<void> {
  let done = 0;
  while (done < target.byteLength) {
    const length = Math.min(pieceBytes, target.byteLength - done);
    const { bytesRead } = await handle.read(target, done, length, position + done);
    if (bytesRead === 0) throw invalid(file, 'it ended while it was being read');
    done += bytesRead;
  }
}

async function readHeader(handle: FileHandle, file: string): Promise<SafetensorsHeader> {
  const { size } = await handle.stat();
  if (size < 8) throw invalid(file, `${size} bytes are too few for a header`);
  const prefix = Buffer.alloc(8);
  await readFully(handle, prefix, 0, file);
  const headerBytes = prefix.readBigUInt64LE();
  if (headerBytes > BigInt(maximumHeaderBytes)) {
    throw invalid(
      file,
      `its header would be ${headerBytes} bytes, more than the format's ${maximumHeaderBytes}`,
    );
  }
  const dataStart = 8 + Number(headerBytes);
  if (dataStart > size) throw invalid(file, `its header would be ${headerBytes} bytes in a file of ${size}`);
  const header = new Uint8Array(Number(headerBytes));
  await readFully(handle, header, 8, file);
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header);
    return { file, dataStart, ...parseSafetensorsHeader(text, size - dataStart) };
  } catch (error) {
    // The scanner throws SyntaxError, the decoder TypeError.
    if (error instanceof SyntaxError) throw invalid(file, error.message);
    if (error instanceof TypeError) throw invalid(file, 'its header is not UTF-8 text');
    throw error;
  }
}

async function withFile<T>(file: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  return naming(file, 'read', async () => {
    // Opening a named pipe would wait for a writer for ever, so look first.
    if (!(await stat(file)).isFile()) throw new FileError(file, 'it is not a plain file', 'Check the path');
    const handle = await open(file, 'r');
    try {
      return await use(handle);
    } finally {
      await handle.close();
    }
  });
}

/**
 * Reads the header alone: names, types, shapes and places of the tensors.
 *
 * @throws FileError when the file cannot be read or breaks the format.
 */
export function readSafetensorsHeader(file: string): Promise<SafetensorsHeader> {
  return withFile(file, handle => readHeader(handle, file));
}

/** Reads one tensor of a narrower or wider float type into float32, piece by piece. */
async function readAsFloat32(
  handle: FileHandle,
  header: SafetensorsHeader,
  entry: TensorEntry,
  scratch: Uint8Array<ArrayBuffer>,
): Promise<Float32Array> {
  const target = new Float32Array(elementCount(entry.shape));
  const width = elementBytes[entry.dtype];
  const bytes = entry.end - entry.begin;
  for (let start = 0; start < bytes; start += scratch.byteLength) {
    const length = Math.min(scratch.byteLength, bytes - start);
    await readFully(handle, scratch.subarray(0, length), header.dataStart + entry.begin + start, header.file);
    const first = start / width;
    if (entry.dtype === 'float16')
      widenFloat16(new Uint16Array(scratch.buffer, 0, length / 2), target, first);
    else if (entry.dtype === 'bfloat16')
      widenBfloat16(new Uint16Array(scratch.buffer, 0, length / 2), target, first);
    else target.set(new Float64Array(scratch.buffer, 0, length / 8), first);
  }
  return target;
}

async function readExact(
  handle: FileHandle,
  header: SafetensorsHeader,
  entry: TensorEntry,
): Promise<TensorData> {
  const buffer = new ArrayBuffer(entry.end - entry.begin);
  await readFully(handle, new Uint8Array(buffer), header.dataStart + entry.begin, header.file);
  return viewAs(entry.dtype, buffer);
}

const convertible = new Set(['float64', 'float16', 'bfloat16']);

/**
 * Reads tensors, each by its range of the file; memory is that of the tensors asked for and 4 MiB.
 *
 * @throws FileError when the file cannot be read or breaks the format.
 */
export function readSafetensors(file: string, options: ReadOptions = {}): Promise<SafetensorsContent> {
  const { only = () => true, asFloat32 = false } = options;
  return withFile(file, async handle => {
    const header = await readHeader(handle, file);
    const tensors = new Map<string, HostTensor>();
    let scratch: Uint8Array<ArrayBuffer> | undefined;
    for (const [name, entry] of header.tensors) {
      if (!only(name, entry)) continue;
      const { shape } = entry;
      if (asFloat32 && convertible.has(entry.dtype)) {
        scratch ??= new Uint8Array(pieceBytes);
        tensors.set(name, {
          shape,
          dtype: 'float32',
          data: await readAsFloat32(handle, header, entry, scratch),
        });
      } else {
        tensors.set(name, { shape, dtype: entry.dtype, data: await readExact(handle, header, entry) });
      }
    }
    return { tensors, metadata: header.metadata };
  });
}

function checkWritable(name: string, { shape, dtype, data }: HostTensor): void {
  const bytes = elementCount(shape) * elementBytes[dtype];
  if (name === '__metadata__')
    throw new Error("a tensor cannot be named '__metadata__': the format reserves the name");
  if (
    data.byteLength !== bytes ||
    shape.some(dimension => !Number.isSafeInteger(dimension) || dimension < 0)
  ) {
    throw new Error(
      `tensor ${quoted(name)} holds ${data.byteLength} bytes, but ${dtype} of shape [${shape.join(', ')}] takes ${bytes}`,
    );
  }
}

/** Header of a file with these tensors in this order, padded with spaces so that the data starts at a multiple of 8. */
function encodeHeader(
  tensors: readonly [string, HostTensor][],
  metadata: Readonly<Record<string, string>>,
): Buffer {
  const fields: string[] = [];
  if (Object.keys(metadata).length > 0) fields.push(`"__metadata__":${JSON.stringify(metadata)}`);
  let begin = 0;
  for (const [name, { shape, dtype, data }] of tensors) {
    const end = begin + data.byteLength;
    const entry = { dtype: typeCodes.get(dtype), shape, data_offsets: [begin, end] };
    fields.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    begin = end;
  }
  const json = Buffer.from(`{${fields.join(',')}}`);
  const padding = (8 - (json.length % 8)) % 8;
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length + padding));
  return Buffer.concat([length, json, Buffer.alloc(padding, ' ')]);
}

/**
 * Writes a safetensors file atomically and durably (see `writeAtomically`), straight from the tensors' own memory.
 * Wider element types come first, so that every tensor is aligned to its element; otherwise the order is kept.
 *
 * @throws FileError when it cannot be written; a file of that name stays as it was.
 */
export async function writeSafetensors(
  file: string,
  tensors: ReadonlyMap<string, HostTensor> | Readonly<Record<string, HostTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const entries: [string, HostTensor][] = tensors instanceof Map ? [...tensors] : Object.entries(tensors);
  for (const [name, tensor] of entries) checkWritable(name, tensor);
  entries.sort(([, a], [, b]) => elementBytes[b.dtype] - elementBytes[a.dtype]);
  const header = encodeHeader(entries, metadata);
  if (header.length - 8 > maximumHeaderBytes)
    throw new FileError(file, 'too many tensors for one file', 'Split them');
  await writeAtomically(file, async handle => {
    await writeFully(handle, header);
    for (const [, tensor] of entries) await writeFully(handle, bytesOf(tensor.data));
  });
}
