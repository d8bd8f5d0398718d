/** Checkpoints whatever their packaging: safetensors or PyTorch, one file or several, OpenCLIP's or Hugging Face's names. */

import type { Checkpoint, TensorDescription, TensorReadOptions } from './checkpointTypes.ts';
import type { HostTensor } from './hostTensor.ts';
import { underHuggingFaceNames, underOpenClipNames } from './huggingFaceCheckpoint.ts';
import { huggingFaceMark } from './huggingFaceNames.ts';
import { openPytorchFile } from './pytorchFile.ts';
import { openSafetensors } from './safetensors.ts';
import { openSharded } from './shardedCheckpoint.ts';
import { readFully, withPlainFile } from './tensorRange.ts';
import { locateWeights, namesPytorch } from './weightsLocation.ts';

export interface OpenOptions {
  /** `openclip` (the default) shows Hugging Face's tensors under OpenCLIP's names; `source` shows what the file says. */
  names?: 'openclip' | 'source';
}

export interface CheckpointReadOptions extends TensorReadOptions, OpenOptions {
  /** Which tensors to read; all without it. */
  only?: (name: string, description: TensorDescription) => boolean;
}

/** Whether a file without a telling name begins as a zip archive does. */
async function looksLikeZip(file: string): Promise<boolean> {
  return withPlainFile(file, async handle => {
    if ((await handle.stat()).size < 4) return false;
    const start = Buffer.alloc(4);
    await readFully(handle, start, 0, () => {
      throw new RangeError('the file shrank');
    });
    return start.toString('latin1') === 'PK\u0003\u0004';
  });
}

async function openFile(file: string): Promise<Checkpoint> {
  const lower = file.toLowerCase();
  if (lower.endsWith('.safetensors')) return openSafetensors(file);
  return namesPytorch(file) || (await looksLikeZip(file)) ? openPytorchFile(file) : openSafetensors(file);
}

/**
 * Opens a weights file, the index of several, or a folder with either. Only names, types, shapes and places are read:
 * memory is in proportion to the number of tensors.
 *
 * @throws FileError when there is none, or when it breaks its format.
 */
export async function openCheckpoint(
  model: string,
  { names = 'openclip' }: OpenOptions = {},
): Promise<Checkpoint> {
  const file = await locateWeights(model);
  const source = await (file.toLowerCase().endsWith('.json') ? openSharded(file, openFile) : openFile(file));
  if (names === 'source' || !source.tensors.has(huggingFaceMark)) return source;
  try {
    return underOpenClipNames(source);
  } catch (error) {
    await source.dispose();
    throw error;
  }
}

/** Opens a checkpoint, runs `use` and disposes of it. */
export async function withCheckpoint<T>(
  model: string,
  options: OpenOptions,
  use: (checkpoint: Checkpoint) => Promise<T>,
): Promise<T> {
  const checkpoint = await openCheckpoint(model, options);
  try {
    return await use(checkpoint);
  } finally {
    await checkpoint.dispose();
  }
}

/**
 * Reads tensors of a checkpoint; memory is that of the tensors asked for and a few MiB.
 *
 * @throws FileError as `openCheckpoint`, and when the file cannot be read.
 */
export function readCheckpoint(
  model: string,
  { only = () => true, asFloat32 = false, ...options }: CheckpointReadOptions = {},
): Promise<{ tensors: Map<string, HostTensor>; metadata: Readonly<Record<string, string>> }> {
  return withCheckpoint(model, options, async checkpoint => {
    const tensors = new Map<string, HostTensor>();
    for (const [name, description] of checkpoint.tensors)
      if (only(name, description)) tensors.set(name, await checkpoint.read(name, { asFloat32 }));
    return { tensors, metadata: checkpoint.metadata };
  });
}

/** Tensors with OpenCLIP's names under the names that `model` itself has, so that its own programs load them. */
export async function underSourceNames(
  model: string,
  tensors: ReadonlyMap<string, HostTensor>,
): Promise<ReadonlyMap<string, HostTensor>> {
  return withCheckpoint(model, { names: 'source' }, async source =>
    source.tensors.has(huggingFaceMark) ? underHuggingFaceNames(tensors, source.tensors) : tensors,
  );
}
