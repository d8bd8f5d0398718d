import path from 'node:path';
import { FileError } from '../checkpoints/fileError.ts';
import type { HostTensor, PendingTensor } from '../checkpoints/hostTensor.ts';
import { isJsonObject, readJson, writeJson } from '../checkpoints/jsonFile.ts';
import { readSafetensors, writeSafetensors } from '../checkpoints/safetensors.ts';
import type { Distiller } from '../distill/distiller.ts';
import type { LossScale } from '../distill/lossScale.ts';
import { type Engine, readFloats } from '../engines/engine.ts';
import { formatShape, sameShape } from '../graph/shape.ts';
import type { Checkpoint } from '../runs/checkpointStore.ts';

const studentFile = 'student.safetensors';
const optimiserFile = 'optimiser.safetensors';
/** Of mixed precision alone. */
const lossScaleFile = 'lossScale.json';
const firstMomentPrefix = 'first/';
const secondMomentPrefix = 'second/';

const pending = (shape: readonly number[], read: () => Promise<Float32Array>): PendingTensor => ({
  shape,
  dtype: 'float32',
  read,
});

/**
 * Writes what a run needs to go on to the same bits: the raw student's trained tensors, both moments of each, and in mixed
 * precision the loss scale.
 * Tensors are copied to the host one at a time, as they are written. Sampling follows from seed and step alone, so
 * there is no random state beside the step in the folder's name.
 */
export async function writeTrainingState(
  directory: string,
  engine: Engine,
  distiller: Distiller,
  trainable: readonly string[],
): Promise<void> {
  const student = new Map<string, PendingTensor>();
  const moments = new Map<string, PendingTensor>();
  const { optimiser } = distiller;
  for (const name of trainable) {
    const parameter = distiller.studentParameters.get(name)!;
    const { shape } = parameter;
    student.set(
      name,
      pending(shape, () => readFloats(engine, parameter)),
    );
    if (!optimiser.hasMoments(name)) continue;
    const moment = (kind: 'firstMoment' | 'secondMoment') =>
      pending(shape, () => optimiser.readMoment(name, kind));
    moments.set(firstMomentPrefix + name, moment('firstMoment'));
    moments.set(secondMomentPrefix + name, moment('secondMoment'));
  }
  await writeSafetensors(path.join(directory, studentFile), student);
  await writeSafetensors(path.join(directory, optimiserFile), moments);
  if (distiller.lossScale) await writeJson(path.join(directory, lossScaleFile), distiller.lossScale);
}

/**
 * Restores what `writeTrainingState` wrote. Before the first update there are no moments.
 *
 * @throws FileError when a tensor is missing or has another shape; the files stay as they are.
 */
export async function readTrainingState(
  { directory, step }: Checkpoint,
  distiller: Distiller,
  trainable: readonly string[],
): Promise<void> {
  const student = await readSafetensors(path.join(directory, studentFile));
  const optimiser = await readSafetensors(path.join(directory, optimiserFile));
  if (distiller.lossScale)
    distiller.restoreLossScale(await readLossScale(path.join(directory, lossScaleFile)));
  const updates = step - (distiller.lossScale?.skippedSteps ?? 0);
  for (const name of trainable) {
    const { shape } = distiller.studentParameters.get(name)!;
    const expect = (tensors: ReadonlyMap<string, HostTensor>, tensor: string, file: string): Float32Array =>
      expectFloats(tensors, tensor, shape, path.join(directory, file));
    distiller.restore(name, expect(student.tensors, name, studentFile));
    if (updates === 0) continue;
    distiller.optimiser.restoreMoments(name, {
      firstMoment: expect(optimiser.tensors, firstMomentPrefix + name, optimiserFile),
      secondMoment: expect(optimiser.tensors, secondMomentPrefix + name, optimiserFile),
    });
  }
}

async function readLossScale(file: string): Promise<LossScale> {
  const content = await readJson(file);
  const { scale, goodSteps, skippedSteps } = isJsonObject(content) ? content : {};
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (typeof scale === 'number' && scale > 0 && isCount(goodSteps) && isCount(skippedSteps))
    return { scale, goodSteps, skippedSteps };
  throw new FileError(
    file,
    'it holds no loss scale',
    'Remove this checkpoint: an earlier one takes its place',
  );
}

function expectFloats(
  tensors: ReadonlyMap<string, HostTensor>,
  name: string,
  shape: readonly number[],
  file: string,
): Float32Array {
  const tensor = tensors.get(name);
  const advice = 'The checkpoint belongs to another model: remove it, or train into another folder';
  if (!tensor) throw new FileError(file, `it has no tensor '${name}'`, advice);
  if (!sameShape(tensor.shape, shape) || !(tensor.data instanceof Float32Array)) {
    const found = `${tensor.dtype} ${formatShape(tensor.shape)}`;
    throw new FileError(file, `'${name}' is ${found} where float32 ${formatShape(shape)} is needed`, advice);
  }
  return tensor.data;
}
