/** Checkpoints that `torch.load(…, weights_only=True)` reads: a dict of tensors, or one in `{'state_dict': …}`. */
import { writeAtomically } from './atomicFile.ts';
import { FileError } from './fileError.ts';
import { bytesOf, elementBytes, elementCount, type HostTensor } from './hostTensor.ts';
import { storageNames } from './pickleBuilders.ts';
import { opcode } from './pickleOpcodes.ts';
import { writeZip, type ZipEntry } from './zipWriter.ts';

class PickleWriter {
  readonly #pieces: Buffer[] = [];

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  code(...codes: number[]): void {
    this.#pieces.push(Buffer.from(codes));
  }

  text(value: string): void {
    const bytes = Buffer.from(value);
    const header = Buffer.alloc(5);
    header[0] = opcode.text;
    header.writeUInt32LE(bytes.length, 1);
    this.#pieces.push(header, bytes);
  }

  integer(value: number): void {
    if (value < 2 ** 31) {
      const bytes = Buffer.alloc(5);
      bytes[0] = opcode.int32;
      bytes.writeInt32LE(value, 1);
      this.#pieces.push(bytes);
      return;
    }
    const bytes = Buffer.alloc(10);
    bytes[0] = opcode.long;
    bytes[1] = 8;
    bytes.writeBigInt64LE(BigInt(value), 2);
    this.#pieces.push(bytes);
  }

  global(module: string, name: string): void {
    this.code(opcode.global);
    this.#pieces.push(Buffer.from(`${module}\n${name}\n`));
  }

  integers(values: readonly number[]): void {
    this.code(opcode.mark);
    for (const value of values) this.integer(value);
    this.code(opcode.tuple);
  }

  orderedDictionary(): void {
    this.global('collections', 'OrderedDict');
    this.code(opcode.emptyTuple, opcode.call);
  }

  /** `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`. */
  tensor({ shape, dtype }: HostTensor, key: string): void {
    this.global('torch._utils', '_rebuild_tensor_v2');
    this.code(opcode.mark, opcode.mark);
    this.text('storage');
    this.global('torch', storageNames.get(dtype)!);
    this.text(key);
    this.text('cpu');
    this.integer(elementCount(shape));
    this.code(opcode.tuple, opcode.storage);
    this.integer(0);
    this.integers(shape);
    this.integers(shape.map((_, axis) => elementCount(shape.slice(axis + 1))));
    this.code(opcode.false);
    this.orderedDictionary();
    this.code(opcode.tuple, opcode.call);
  }
}

/**
 * How the dict of tensors is packed: `state_dict` as training programs save it and OpenCLIP reads it, `bare` as
 * `torch.save(model.state_dict(), …)` writes it.
 */
export type StateDictWrapper = 'state_dict' | 'bare';

function pickleOf(tensors: ReadonlyMap<string, HostTensor>, wrapper: StateDictWrapper): Buffer {
  const writer = new PickleWriter();
  writer.code(opcode.protocol, 2);
  if (wrapper === 'state_dict') {
    writer.code(opcode.dictionary);
    writer.text('state_dict');
  }
  writer.orderedDictionary();
  writer.code(opcode.mark);
  let key = 0;
  for (const [name, tensor] of tensors) {
    writer.text(name);
    writer.tensor(tensor, String(key++));
  }
  writer.code(opcode.setItems);
  if (wrapper === 'state_dict') writer.code(opcode.setItem);
  writer.code(opcode.stop);
  return writer.bytes;
}

function* entriesOf(tensors: ReadonlyMap<string, HostTensor>, wrapper: StateDictWrapper): Iterable<ZipEntry> {
  const text = (content: string): Uint8Array => Buffer.from(content);
  yield { name: 'archive/data.pkl', bytes: pickleOf(tensors, wrapper) };
  yield { name: 'archive/byteorder', bytes: text('little') };
  let key = 0;
  for (const { data } of tensors.values()) yield { name: `archive/data/${key++}`, bytes: bytesOf(data) };
  yield { name: 'archive/version', bytes: text('3\n') };
}

/**
 * Writes tensors as a PyTorch checkpoint, atomically and durably (see `writeAtomically`).
 *
 * @throws FileError when it cannot be written or a tensor's type is none of PyTorch's storages; a file of that name
 * stays as it was.
 */
export async function writePytorch(
  file: string,
  tensors: ReadonlyMap<string, HostTensor>,
  wrapper: StateDictWrapper = 'state_dict',
): Promise<void> {
  for (const [name, { shape, dtype, data }] of tensors) {
    if (!storageNames.has(dtype))
      throw new FileError(
        file,
        `PyTorch has no storage of ${dtype} (tensor '${name}')`,
        'Write .safetensors',
      );
    if (data.byteLength !== elementCount(shape) * elementBytes[dtype])
      throw new Error(`tensor '${name}' does not fill its shape [${shape.join(', ')}]`);
  }
  await writeAtomically(file, handle => writeZip(handle, entriesOf(tensors, wrapper)));
}
