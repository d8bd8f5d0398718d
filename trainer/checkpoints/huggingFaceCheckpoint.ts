/** A checkpoint with Hugging Face's names under OpenCLIP's, and the way back. */
import type { Checkpoint, TensorDescription, TensorReadOptions } from './checkpointTypes.ts';
import { FileError } from './fileError.ts';
import type { HostTensor, TensorData } from './hostTensor.ts';
import { huggingFaceSources, type TensorSource } from './huggingFaceNames.ts';

type MutableData = { [index: number]: number | bigint; readonly length: number };

const empty = (data: TensorData, length: number): TensorData =>
  new (data.constructor as new (length: number) => TensorData)(length);

/** `[rows, columns]` → `[columns, rows]`. */
export function transposed({ shape, dtype, data }: HostTensor): HostTensor {
  const [rows, columns] = shape as [number, number];
  const result = empty(data, data.length);
  const target = result as MutableData;
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      target[column * rows + row] = data[row * columns + column]!;
  return { shape: [columns, rows], dtype, data: result };
}

/** Three tensors of one shape, one after the other along the first axis. */
function packed(parts: readonly HostTensor[]): HostTensor {
  const [first] = parts;
  const { shape, dtype, data } = first!;
  const result = empty(data, parts.length * data.length);
  for (const [index, part] of parts.entries())
    (result as { set(source: TensorData, offset: number): void }).set(part.data, index * data.length);
  return { shape: [parts.length * shape[0]!, ...shape.slice(1)], dtype, data: result };
}

function unpacked({ shape, dtype, data }: HostTensor, parts: number): HostTensor[] {
  const length = data.length / parts;
  return Array.from({ length: parts }, (_, index) => ({
    shape: [shape[0]! / parts, ...shape.slice(1)],
    dtype,
    data: data.slice(index * length, (index + 1) * length),
  }));
}

/** Description of an OpenCLIP tensor; refuses parts that do not fit together. */
function describe(
  file: string,
  { kind, names }: TensorSource,
  tensors: Checkpoint['tensors'],
): TensorDescription {
  const parts = names.map(name => tensors.get(name)!);
  const { shape, dtype } = parts[0]!;
  if (kind === 'same') return { shape, dtype };
  const fitting =
    kind === 'transposed'
      ? shape.length === 2
      : shape.length > 0 && parts.every(part => part.dtype === dtype && part.shape.join() === shape.join());
  if (!fitting) {
    const shapes = parts.map(part => `${part.dtype} [${part.shape.join(', ')}]`).join(', ');
    throw new FileError(
      file,
      `the tensors ${names.map(name => `'${name}'`).join(', ')} (${shapes}) do not have the shapes of a CLIP model`,
      'Use the weights and the config.json of one published model',
    );
  }
  if (kind === 'transposed') return { shape: [shape[1]!, shape[0]!], dtype };
  return { shape: [parts.length * shape[0]!, ...shape.slice(1)], dtype };
}

class HuggingFaceCheckpoint implements Checkpoint {
  readonly file: string;
  readonly files: readonly string[];
  readonly packaging: Checkpoint['packaging'];
  readonly tensors: ReadonlyMap<string, TensorDescription>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly #source: Checkpoint;
  readonly #sources: ReadonlyMap<string, TensorSource>;

  constructor(source: Checkpoint) {
    this.#source = source;
    this.file = source.file;
    this.files = source.files;
    this.packaging = source.packaging;
    this.metadata = source.metadata;
    this.#sources = huggingFaceSources(source.tensors);
    this.tensors = new Map(
      [...this.#sources].map(([name, parts]) => [name, describe(source.file, parts, source.tensors)]),
    );
  }

  async read(name: string, options?: TensorReadOptions): Promise<HostTensor> {
    const source = this.#sources.get(name);
    if (!source) throw new Error(`${this.file} holds nothing that gives the tensor '${name}'`);
    const parts: HostTensor[] = [];
    for (const part of source.names) parts.push(await this.#source.read(part, options));
    if (source.kind === 'same') return parts[0]!;
    return source.kind === 'transposed' ? transposed(parts[0]!) : packed(parts);
  }

  dispose(): Promise<void> {
    return this.#source.dispose();
  }
}

/** Shows a checkpoint with Hugging Face's names under OpenCLIP's. Takes over the source. */
export function underOpenClipNames(source: Checkpoint): Checkpoint {
  return new HuggingFaceCheckpoint(source);
}

/** OpenCLIP tensors under the names, and in the form, that Hugging Face's file with the names `present` has. */
export function underHuggingFaceNames(
  tensors: ReadonlyMap<string, HostTensor>,
  present: { has(name: string): boolean },
): Map<string, HostTensor> {
  const sources = huggingFaceSources(present);
  const result = new Map<string, HostTensor>();
  for (const [name, tensor] of tensors) {
    const source = sources.get(name);
    if (!source) continue;
    const { kind, names } = source;
    if (kind === 'same') result.set(names[0]!, tensor);
    else if (kind === 'transposed') result.set(names[0]!, transposed(tensor));
    else
      for (const [index, part] of unpacked(tensor, names.length).entries()) result.set(names[index]!, part);
  }
  return result;
}
