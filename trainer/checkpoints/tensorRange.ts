/** Reading of numbers that lie one after the other in a file, little-endian, in pieces of bounded size. */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { FileError, naming } from './fileError.ts';
import { widenBfloat16, widenFloat16 } from './halfPrecision.ts';
import { elementBytes, type TensorData, type TensorType, viewAs } from './hostTensor.ts';

/** One system call moves at most 2 GiB, and conversion needs one piece of scratch memory. */
const pieceBytes = 1 << 22;

/** Opens a plain file for reading. */
export async function openPlainFile(file: string): Promise<FileHandle> {
  return naming(file, 'read', async () => {
    // Opening a named pipe would wait for a writer for ever, so look first.
    if (!(await stat(file)).isFile()) throw new FileError(file, 'it is not a plain file', 'Check the path');
    return open(file, 'r');
  });
}

/** Runs `use` with the opened file and closes it afterwards. */
export async function withPlainFile<T>(file: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await openPlainFile(file);
  try {
    return await naming(file, 'read', () => use(handle));
  } finally {
    await handle.close();
  }
}

/** Fills `target` from `position` on. Calls `ended` when the file is too short; it must throw. */
export async function readFully(
  handle: FileHandle,
  target: Uint8Array,
  position: number,
  ended: () => never,
): Promise<void> {
  let done = 0;
  while (done < target.byteLength) {
    const length = Math.min(pieceBytes, target.byteLength - done);
    const { bytesRead } = await handle.read(target, done, length, position + done);
    if (bytesRead === 0) ended();
    done += bytesRead;
  }
}

/** Whether `asFloat32` changes tensors of this type. */
const convertible = (dtype: TensorType): boolean =>
  dtype === 'float64' || dtype === 'float16' || dtype === 'bfloat16';

/** Writes floats of another width to `target` from `first` on. `buffer` holds `length` bytes of them. */
function convert(
  dtype: TensorType,
  buffer: ArrayBuffer,
  length: number,
  target: Float32Array,
  first: number,
): void {
  if (dtype === 'float16') widenFloat16(new Uint16Array(buffer, 0, length / 2), target, first);
  else if (dtype === 'bfloat16') widenBfloat16(new Uint16Array(buffer, 0, length / 2), target, first);
  else target.set(new Float64Array(buffer, 0, length / 8), first);
}

/**
 * Reads `count` elements from `position` on. Memory is that of the result and, for a conversion, 4 MiB.
 *
 * @param asFloat32 Converts float64, float16 and bfloat16; integers stay.
 */
export async function readElements(
  handle: FileHandle,
  position: number,
  count: number,
  dtype: TensorType,
  asFloat32: boolean,
  ended: () => never,
): Promise<TensorData> {
  const width = elementBytes[dtype];
  const bytes = count * width;
  if (!asFloat32 || !convertible(dtype)) {
    const buffer = new ArrayBuffer(bytes);
    await readFully(handle, new Uint8Array(buffer), position, ended);
    return viewAs(dtype, buffer);
  }
  const target = new Float32Array(count);
  const scratch = new Uint8Array(Math.min(pieceBytes, bytes));
  for (let start = 0; start < bytes; start += scratch.byteLength) {
    const length = Math.min(scratch.byteLength, bytes - start);
    await readFully(handle, scratch.subarray(0, length), position + start, ended);
    convert(dtype, scratch.buffer, length, target, start / width);
  }
  return target;
}
