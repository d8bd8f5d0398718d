/**
 * The safetensors file format: 8 bytes with the header's length, a JSON header, the tensors.
 * All numbers are little-endian, as are all the machines that Node's typed arrays run on here.
 */
import type { FileHandle } from 'node:fs/promises';
import { writeAtomically, writeFully } from './atomicFile.ts';
import type { Checkpoint, TensorReadOptions } from './checkpointTypes.ts';
import { FileError, naming } from './fileError.ts';
import {
  bytesOf,
  elementBytes,
  elementCount,
  type HostTensor,
  type PendingTensor,
  type TensorData,
} from './hostTensor.ts';
import { parseSafetensorsHeader, quoted, type TensorEntry, typeCodes } from './safetensorsHeader.ts';
import { openPlainFile, readElements, readFully, withPlainFile } from './tensorRange.ts';

/** The format's own limit of the header. */
const maximumHeaderBytes = 100_000_000;

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

function cutShort(file: string): () => never {
  return () => {
    throw invalid(file, 'it ended while it was being read');
  };
}

async function readHeader(handle: FileHandle, file: string): Promise<SafetensorsHeader> {
  const { size } = await handle.stat();
  if (size < 8) throw invalid(file, `${size} bytes are too few for a header`);
  const prefix = Buffer.alloc(8);
  await readFully(handle, prefix, 0, cutShort(file));
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
  await readFully(handle, header, 8, cutShort(file));
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

/**
 * Reads the header alone: names, types, shapes and places of the tensors.
 *
 * @throws FileError when the file cannot be read or breaks the format.
 */
export function readSafetensorsHeader(file: string): Promise<SafetensorsHeader> {
  return withPlainFile(file, handle => readHeader(handle, file));
}

async function readTensor(
  handle: FileHandle,
  { dataStart, file }: SafetensorsHeader,
  { begin, shape, dtype }: TensorEntry,
  asFloat32: boolean,
): Promise<HostTensor> {
  const position = dataStart + begin;
  const data = await readElements(handle, position, elementCount(shape), dtype, asFloat32, cutShort(file));
  return { shape, dtype: data instanceof Float32Array ? 'float32' : dtype, data };
}

/**
 * Reads tensors, each by its range of the file; memory is that of the tensors asked for and 4 MiB.
 *
 * @throws FileError when the file cannot be read or breaks the format.
 */
export function readSafetensors(file: string, options: ReadOptions = {}): Promise<SafetensorsContent> {
  const { only = () => true, asFloat32 = false } = options;
  return withPlainFile(file, async handle => {
    const header = await readHeader(handle, file);
    const tensors = new Map<string, HostTensor>();
    for (const [name, entry] of header.tensors)
      if (only(name, entry)) tensors.set(name, await readTensor(handle, header, entry, asFloat32));
    return { tensors, metadata: header.metadata };
  });
}

class SafetensorsFile implements Checkpoint {
  readonly packaging = 'safetensors';
  readonly file: string;
  readonly files: readonly string[];
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly #handle: FileHandle;
  readonly #header: SafetensorsHeader;

  constructor(handle: FileHandle, header: SafetensorsHeader) {
    this.file = header.file;
    this.files = [header.file];
    this.tensors = header.tensors;
    this.metadata = header.metadata;
    this.#handle = handle;
    this.#header = header;
  }

  async read(name: string, { asFloat32 = false }: TensorReadOptions = {}): Promise<HostTensor> {
    const entry = this.tensors.get(name);
    if (!entry) throw new Error(`${this.file} holds no tensor '${name}'`);
    return naming(this.file, 'read', () => readTensor(this.#handle, this.#header, entry, asFloat32));
  }

  dispose(): Promise<void> {
    return this.#handle.close();
  }
}

/**
 * Opens a safetensors file to read its tensors one by one.
 *
 * @throws FileError when the file cannot be read or breaks the format.
 */
export async function openSafetensors(file: string): Promise<Checkpoint> {
  const handle = await openPlainFile(file);
  try {
    return new SafetensorsFile(handle, await naming(file, 'read', () => readHeader(handle, file)));
  } catch (error) {
    await handle.close();
    throw error;
  }
}

type WritableTensor = HostTensor | PendingTensor;

const byteLengthOf = ({ shape, dtype }: WritableTensor): number => elementCount(shape) * elementBytes[dtype];

function checkWritable(name: string, tensor: WritableTensor): void {
  if (name === '__metadata__')
    throw new Error("a tensor cannot be named '__metadata__': the format reserves the name");
  if (tensor.shape.some(dimension => !Number.isSafeInteger(dimension) || dimension < 0))
    throw new Error(`tensor ${quoted(name)} has the shape [${tensor.shape.join(', ')}], which is none`);
  if ('data' in tensor) checkData(name, tensor, tensor.data);
}

function checkData(name: string, tensor: WritableTensor, { byteLength }: TensorData): void {
  const { shape, dtype } = tensor;
  if (byteLength === byteLengthOf(tensor)) return;
  throw new Error(
    `tensor ${quoted(name)} holds ${byteLength} bytes, but ${dtype} of shape [${shape.join(', ')}] takes ${byteLengthOf(tensor)}`,
  );
}

async function dataOf(name: string, tensor: WritableTensor): Promise<TensorData> {
  if ('data' in tensor) return tensor.data;
  const data = await tensor.read();
  checkData(name, tensor, data);
  return data;
}

/** Header of a file with these tensors in this order, padded with spaces so that the data starts at a multiple of 8. */
function encodeHeader(
  tensors: readonly [string, WritableTensor][],
  metadata: Readonly<Record<string, string>>,
): Buffer {
  const fields: string[] = [];
  if (Object.keys(metadata).length > 0) fields.push(`"__metadata__":${JSON.stringify(metadata)}`);
  let begin = 0;
  for (const [name, tensor] of tensors) {
    const { shape, dtype } = tensor;
    const end = begin + byteLengthOf(tensor);
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
  tensors: ReadonlyMap<string, WritableTensor> | Readonly<Record<string, WritableTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const entries: [string, WritableTensor][] = tensors instanceof Map ? [...tensors] : Object.entries(tensors);
  for (const [name, tensor] of entries) checkWritable(name, tensor);
  entries.sort(([, a], [, b]) => elementBytes[b.dtype] - elementBytes[a.dtype]);
  const header = encodeHeader(entries, metadata);
  if (header.length - 8 > maximumHeaderBytes)
    throw new FileError(file, 'too many tensors for one file', 'Split them');
  await writeAtomically(file, async handle => {
    await writeFully(handle, header);
    for (const [name, tensor] of entries) await writeFully(handle, bytesOf(await dataOf(name, tensor)));
  });
}
