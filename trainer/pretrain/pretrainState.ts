import path from 'node:path';
import { FileError } from '../checkpoints/fileError.ts';
import type { HostTensor } from '../checkpoints/hostTensor.ts';
import { readSafetensors, writeSafetensors } from '../checkpoints/safetensors.ts';
import { type Engine, readFloats } from '../engines/engine.ts';
import { formatShape, sameShape } from '../graph/shape.ts';
import type { Checkpoint } from '../runs/checkpointStore.ts';
import type { ContrastiveTrainer } from './contrastiveTrainer.ts';

const stateFile = 'state.safetensors';
const [firstMoment, secondMoment] = ['first/', 'second/'] as const;

/** Writes what a pre-training needs to go on to the same bits: parameters and both moments of each. */
export async function writePretrainState(
  directory: string,
  engine: Engine,
  trainer: ContrastiveTrainer,
): Promise<void> {
  const tensors = new Map<string, HostTensor>();
  for (const [name, tensor] of trainer.parameters) {
    const { shape } = tensor;
    tensors.set(name, { shape, dtype: 'float32', data: await readFloats(engine, tensor) });
    const moments = await trainer.optimiser.readMoments(name);
    if (!moments) continue;
    tensors.set(firstMoment + name, { shape, dtype: 'float32', data: moments.firstMoment });
    tensors.set(secondMoment + name, { shape, dtype: 'float32', data: moments.secondMoment });
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
  const floats = (name: string, shape: readonly number[]): Float32Array => {
    const tensor = tensors.get(name);
    if (tensor && sameShape(tensor.shape, shape) && tensor.data instanceof Float32Array) return tensor.data;
    throw new FileError(
      file,
      `it has no float32 tensor '${name}' of shape ${formatShape(shape)}`,
      'The checkpoint belongs to another model: remove it, or train into another folder',
    );
  };
  for (const [name, { shape }] of [...trainer.parameters]) {
    trainer.restore(name, floats(name, shape));
    if (step === 0) continue;
    trainer.optimiser.restoreMoments(name, {
      firstMoment: floats(firstMoment + name, shape),
      secondMoment: floats(secondMoment + name, shape),
    });
  }
}
