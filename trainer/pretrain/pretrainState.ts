import path from 'node:path';
import { FileError } from '../checkpoints/fileError.ts';
import type { HostTensor } from '../checkpoints/hostTensor.ts';
import { readSafetensors, writeSafetensors } from '../checkpoints/safetensors.ts';
import { formatShape, type Shape, sameShape } from '../graph/shape.ts';
import type { Checkpoint } from '../runs/checkpointStore.ts';
import type { ContrastiveTrainer } from './contrastiveTrainer.ts';

const stateFile = 'state.safetensors';
const [firstMoment, secondMoment] = ['first/', 'second/'] as const;

/** Writes what a pre-training needs to go on to the same bits: parameters and both moments of each. */
export async function writePretrainState(directory: string, trainer: ContrastiveTrainer): Promise<void> {
  const { weights, moments } = await trainer.read();
  const tensors = new Map<string, HostTensor>();
  for (const [name, tensor] of weights) {
    tensors.set(name, tensor);
    if (!moments) continue;
    tensors.set(firstMoment + name, moments.first.get(name)!);
    tensors.set(secondMoment + name, moments.second.get(name)!);
  }
  await writeSafetensors(path.join(directory, stateFile), tensors);
}

/**
 * Restores what `writePretrainState` wrote. Before the first step there are no moments.
 *
 * @throws FileError when a tensor is missing or has another shape.
 */
export async function readPretrainState(
  { directory, step }: Checkpoint,
  trainer: ContrastiveTrainer,
): Promise<void> {
  const file = path.join(directory, stateFile);
  const { tensors } = await readSafetensors(file);
  const floats = (name: string, shape: Shape): Float32Array => {
    const tensor = tensors.get(name);
    if (tensor && sameShape(tensor.shape, shape) && tensor.data instanceof Float32Array) return tensor.data;
    throw new FileError(
      file,
      `it has no float32 tensor '${name}' of shape ${formatShape(shape)}`,
      'The checkpoint belongs to another model: remove it, or train into another folder',
    );
  };
  trainer.restoreWeights(floats);
  if (step === 0) return;
  trainer.restoreMoments(
    (name, shape) => floats(firstMoment + name, shape),
    (name, shape) => floats(secondMoment + name, shape),
  );
}
