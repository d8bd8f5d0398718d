/** Weights split over several files, as Hugging Face writes them: an index in JSON names the file of each tensor. */
import path from 'node:path';
import type { Checkpoint, TensorDescription, TensorReadOptions } from './checkpointTypes.ts';
import { FileError } from './fileError.ts';
import type { HostTensor } from './hostTensor.ts';
import { isJsonObject, readJson } from './jsonFile.ts';

const maximumIndexBytes = 1 << 26;
const maximumShards = 1000;

const advice = 'Download the index and the files that it names again';

function isPlainName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && name.length <= 255 && !/[/\\\0:]/.test(name);
}

/** Tensor names → file names beside the index. */
async function readIndex(file: string): Promise<Map<string, string>> {
  const content = await readJson(file, maximumIndexBytes);
  const weightMap = isJsonObject(content) ? content.weight_map : undefined;
  if (!isJsonObject(weightMap)) throw new FileError(file, 'it lacks the object weight_map', advice);
  const shards = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(weightMap)) {
    // A path could lead anywhere on the machine.
    if (typeof shard !== 'string' || !isPlainName(shard)) {
      const shown = JSON.stringify(shard).slice(0, 80);
      throw new FileError(
        file,
        `tensor '${tensor.slice(0, 80)}' is in ${shown}, which is no plain file name`,
        advice,
      );
    }
    shards.set(tensor, shard);
  }
  return shards;
}

class ShardedCheckpoint implements Checkpoint {
  readonly file: string;
  readonly files: readonly string[];
  readonly packaging: Checkpoint['packaging'];
  readonly tensors: ReadonlyMap<string, TensorDescription>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly #places: ReadonlyMap<string, Checkpoint>;
  readonly #shards: readonly Checkpoint[];

  constructor(file: string, places: ReadonlyMap<string, Checkpoint>, shards: readonly Checkpoint[]) {
    this.file = file;
    this.files = shards.map(shard => shard.file);
    this.packaging = shards[0]!.packaging;
    this.tensors = new Map([...places].map(([name, shard]) => [name, shard.tensors.get(name)!]));
    this.metadata = Object.assign({}, ...shards.map(shard => shard.metadata));
    this.#places = places;
    this.#shards = shards;
  }

  async read(name: string, options?: TensorReadOptions): Promise<HostTensor> {
    const shard = this.#places.get(name);
    if (!shard) throw new Error(`${this.file} names no tensor '${name}'`);
    return shard.read(name, options);
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#shards.map(shard => shard.dispose()));
  }
}

/**
 * Opens the files that an index (`model.safetensors.index.json`, `pytorch_model.bin.index.json`) names; they must lie
 * beside it.
 *
 * @param open Opens one of the files.
 * @throws FileError also when a file lacks a tensor that the index says it holds.
 */
export async function openSharded(
  index: string,
  open: (file: string) => Promise<Checkpoint>,
): Promise<Checkpoint> {
  const shardNames = await readIndex(index);
  const names = [...new Set(shardNames.values())].sort();
  if (names.length === 0 || names.length > maximumShards)
    throw new FileError(index, `it names ${names.length} files`, advice);
  const shards = new Map<string, Checkpoint>();
  try {
    for (const name of names) shards.set(name, await open(path.join(path.dirname(index), name)));
    const places = new Map<string, Checkpoint>();
    for (const [tensor, name] of shardNames) {
      const shard = shards.get(name)!;
      if (!shard.tensors.has(tensor))
        throw new FileError(
          shard.file,
          `it lacks the tensor '${tensor.slice(0, 80)}', which ${path.basename(index)} says it holds`,
          advice,
        );
      places.set(tensor, shard);
    }
    return new ShardedCheckpoint(index, places, [...shards.values()]);
  } catch (error) {
    await Promise.all([...shards.values()].map(shard => shard.dispose()));
    throw error;
  }
}
