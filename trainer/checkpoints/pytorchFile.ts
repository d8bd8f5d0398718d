/** PyTorch's own checkpoints: `torch.save` archives and TorchScript archives. */
import type { FileHandle } from 'node:fs/promises';
import type { Checkpoint, TensorDescription, TensorReadOptions } from './checkpointTypes.ts';
import { FileError, naming } from './fileError.ts';
import { elementBytes, elementCount, type HostTensor, type TensorData } from './hostTensor.ts';
import { readPickle } from './pickle.ts';
import { PickleError, type PickleStorage, type PickleTensor } from './pickleValues.ts';
import { type EntryRange, invalidArchive, openPytorchZip, type PytorchZip } from './pytorchZip.ts';
import { findModuleTensors, findStateDictionary, type StateDictionary } from './stateDictionary.ts';
import { openPlainFile, readElements } from './tensorRange.ts';

/** The pickle of a large checkpoint with its optimiser takes about 1 MB; a hostile one of this size, about a second. */
const maximumPickleBytes = 1 << 22;

/** Views may share storages, so tensors may be larger than the file; more than this is no model. */
const mostBytes = (fileBytes: number): number => 8 * fileBytes + (1 << 24);

const zipMagic = 0x04034b50;

/** Refuses what is not a zip archive, with the reason that is most likely. */
async function checkMagic(file: string, handle: FileHandle): Promise<void> {
  const start = Buffer.alloc(64);
  const { bytesRead } = await handle.read(start, 0, start.length, 0);
  if (bytesRead >= 4 && start.readUInt32LE(0) === zipMagic) return;
  // A pickle of protocol 2 or later, with PyTorch's magic number as its first value.
  if (start[0] === 0x80 && bytesRead >= 16) {
    const resave =
      'Save it again with a current PyTorch: python -c "import sys, torch; torch.save(torch.load(sys.argv[1], ' +
      "map_location='cpu', weights_only=True), sys.argv[2])\"";
    throw new FileError(
      file,
      'it is a legacy PyTorch file (before version 1.6, not a zip archive), which is not read',
      `${resave} ${JSON.stringify(file)} new.pt`,
    );
  }
  const text = start.toString('latin1', 0, bytesRead);
  if (text.startsWith('version https://git-lfs'))
    throw new FileError(file, 'it is a Git LFS pointer, not the weights', 'Run git lfs pull');
  throw invalidArchive(file, 'it is not a zip archive');
}

async function checkByteOrder(zip: PytorchZip): Promise<void> {
  if (!zip.has('byteorder')) return;
  const order = Buffer.from(await zip.readSmall('byteorder', 64))
    .toString('latin1')
    .trim();
  if (order !== 'little')
    throw new FileError(
      zip.file,
      `its byte order is '${order.slice(0, 20)}', and only little-endian files are read`,
      'Save it again on a little-endian machine',
    );
}

async function readStateDictionary(zip: PytorchZip): Promise<{ state: StateDictionary; script: boolean }> {
  const script = zip.has('constants.pkl') || [...zip.names].some(name => name.startsWith('code/'));
  const bytes = await zip.readSmall('data.pkl', maximumPickleBytes);
  try {
    const root = readPickle(bytes, { allowModules: script });
    return { state: script ? findModuleTensors(root) : findStateDictionary(root), script };
  } catch (error) {
    if (!(error instanceof PickleError)) throw error;
    throw new FileError(
      zip.file,
      `its pickle is refused: ${error.message}`,
      'Only tensors, numbers, texts and containers of them are read, because a pickle can run programs. ' +
        'Use weights saved as a plain state dict or as .safetensors',
      { cause: error },
    );
  }
}

/** Finds each storage in the file once; refuses wrong lengths and storages that lie on top of each other. */
async function locateStorages(
  zip: PytorchZip,
  tensors: ReadonlyMap<string, PickleTensor>,
): Promise<Map<string, EntryRange>> {
  const ranges = new Map<string, EntryRange>();
  for (const [name, { storage }] of tensors) {
    const range = ranges.get(storage.key) ?? (await zip.locate(`data/${storage.key}`));
    ranges.set(storage.key, range);
    const expected = storage.length * elementBytes[storage.dtype];
    if (range.length !== expected)
      throw invalidArchive(
        zip.file,
        `storage '${storage.key}' of tensor '${name}' has ${range.length} bytes; ${storage.length} elements of ${storage.dtype} take ${expected}`,
      );
  }
  let end = 0;
  for (const [key, { start, length }] of [...ranges].sort(([, a], [, b]) => a.start - b.start)) {
    if (length > 0 && start < end)
      throw invalidArchive(zip.file, `storage '${key}' overlaps the one before it`);
    end = Math.max(end, start + length);
  }
  return ranges;
}

/** Lengths and strides of the dimensions that are longer than one. */
const relevant = ({ shape, strides }: PickleTensor): [length: number, stride: number][] =>
  shape.map((length, axis): [number, number] => [length, strides[axis]!]).filter(([length]) => length !== 1);

function isContiguous(tensor: PickleTensor): boolean {
  let expected = 1;
  for (const [length, stride] of relevant(tensor).reverse()) {
    if (stride !== expected) return false;
    expected *= length;
  }
  return true;
}

/** Gathers a strided view into row-major order. `span` starts at the view's first element. */
function gather(tensor: PickleTensor, span: TensorData): TensorData {
  const count = elementCount(tensor.shape);
  const result = new (span.constructor as new (length: number) => TensorData)(count);
  const axes = relevant(tensor);
  const index = new Array<number>(axes.length).fill(0);
  let source = 0;
  for (let target = 0; target < count; target++) {
    result[target] = span[source]!;
    for (let axis = axes.length - 1; axis >= 0; axis--) {
      const [length, stride] = axes[axis]!;
      source += stride;
      if (++index[axis]! < length) break;
      source -= stride * length;
      index[axis] = 0;
    }
  }
  return result;
}

class PytorchFile implements Checkpoint {
  readonly file: string;
  readonly files: readonly string[];
  readonly packaging: 'PyTorch' | 'TorchScript';
  readonly tensors: ReadonlyMap<string, TensorDescription>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly #handle: FileHandle;
  readonly #views: ReadonlyMap<string, PickleTensor>;
  readonly #ranges: ReadonlyMap<string, EntryRange>;

  constructor(
    zip: PytorchZip,
    { tensors, remarks }: StateDictionary,
    script: boolean,
    ranges: ReadonlyMap<string, EntryRange>,
  ) {
    this.file = zip.file;
    this.files = [zip.file];
    this.packaging = script ? 'TorchScript' : 'PyTorch';
    this.metadata = remarks;
    this.tensors = new Map(
      [...tensors].map(([name, { shape, storage }]) => [name, { shape, dtype: storage.dtype }]),
    );
    this.#handle = zip.handle;
    this.#views = tensors;
    this.#ranges = ranges;
  }

  async read(name: string, { asFloat32 = false }: TensorReadOptions = {}): Promise<HostTensor> {
    const view = this.#views.get(name);
    if (!view) throw new Error(`${this.file} holds no tensor '${name}'`);
    const { shape, storage } = view;
    const data = await naming(this.file, 'read', async () => {
      if (elementCount(shape) === 0) return this.#elements(storage, 0, 0, asFloat32);
      if (isContiguous(view)) return this.#elements(storage, view.offset, elementCount(shape), asFloat32);
      const span = relevant(view).reduce((sum, [length, stride]) => sum + (length - 1) * stride, 1);
      return gather(view, await this.#elements(storage, view.offset, span, asFloat32));
    });
    return { shape, dtype: data instanceof Float32Array ? 'float32' : storage.dtype, data };
  }

  dispose(): Promise<void> {
    return this.#handle.close();
  }

  #elements(
    { key, dtype }: PickleStorage,
    offset: number,
    count: number,
    asFloat32: boolean,
  ): Promise<TensorData> {
    const position = this.#ranges.get(key)!.start + offset * elementBytes[dtype];
    return readElements(this.#handle, position, count, dtype, asFloat32, () => {
      throw invalidArchive(this.file, 'it ended while it was being read');
    });
  }
}

/**
 * Opens a `.pt`, `.pth` or `.bin` file of PyTorch 1.6 or later. Reads its directory and its pickle; the numbers stay
 * in the file.
 *
 * @throws FileError when it cannot be read, breaks the format or asks for more than tensors.
 */
export async function openPytorchFile(file: string): Promise<Checkpoint> {
  const handle = await openPlainFile(file);
  try {
    return await naming(file, 'read', async () => {
      await checkMagic(file, handle);
      const zip = await openPytorchZip(file, handle);
      await checkByteOrder(zip);
      const { state, script } = await readStateDictionary(zip);
      if (state.tensors.size === 0)
        throw new FileError(file, 'it holds no tensors', 'Use a file with the weights of a model');
      const bytes = [...state.tensors.values()].reduce(
        (sum, { shape, storage }) => sum + elementCount(shape) * elementBytes[storage.dtype],
        0,
      );
      const { size } = await handle.stat();
      if (!(bytes <= mostBytes(size)))
        throw invalidArchive(file, `its tensors would take ${bytes} bytes, and the file has ${size}`);
      return new PytorchFile(zip, state, script, await locateStorages(zip, state.tensors));
    });
  } catch (error) {
    await handle.close();
    throw error;
  }
}
