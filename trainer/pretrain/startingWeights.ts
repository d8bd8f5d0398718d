import { readCheckpoint, withCheckpoint } from '../checkpoints/checkpoint.ts';
import { FileError } from '../checkpoints/fileError.ts';
import { requireFinite } from '../checkpoints/finiteWeights.ts';
import { hashWeights } from '../checkpoints/modelFiles.ts';
import { formatShape, sameShape } from '../graph/shape.ts';
import type { PretrainConfiguration } from '../protocol.ts';
import { packsOf } from './dualEncoder.ts';
import type { PretrainModel } from './pretrainModel.ts';

const advice = 'Start from a model of clipself pretrain with the same architecture, or leave out --from';

/**
 * SHA-256 of the weights that a run is to start from, hex.
 *
 * @param from A weights file or a model folder.
 * @throws FileError also when it has other tensors than `model`.
 */
export async function hashStart(from: string, model: PretrainModel): Promise<string> {
  return withCheckpoint(from, {}, async ({ file, files, tensors }) => {
    for (const [name, shape] of shapesOf(model)) {
      const found = tensors.get(name);
      if (!found || !sameShape(found.shape, shape))
        throw new FileError(file, `it has no '${name}' of shape ${formatShape(shape)}`, advice);
    }
    return hashWeights({ files });
  });
}

/**
 * The weights that a run starts from, as float32 by checkpoint name.
 *
 * @throws FileError when they are no longer those that the run was set up with.
 */
export async function readStart(
  { settings, startHash }: PretrainConfiguration,
  model: PretrainModel,
): Promise<Map<string, Float32Array>> {
  const from = settings.from ?? '';
  if ((await hashStart(from, model)) !== startHash)
    throw new FileError(
      from,
      'its weights have changed since the run was started',
      'Train into a new folder',
    );
  const shapes = shapesOf(model);
  const { tensors } = await readCheckpoint(from, { only: name => shapes.has(name), asFloat32: true });
  const weights = new Map<string, Float32Array>();
  for (const [name, { data }] of tensors) {
    if (!(data instanceof Float32Array)) throw new FileError(from, `'${name}' holds no fractions`, advice);
    requireFinite(from, name, data);
    weights.set(name, data);
  }
  return weights;
}

const shapesOf = ({ encoder }: PretrainModel): Map<string, readonly number[]> =>
  new Map(
    packsOf(encoder).flatMap(({ members }) => members.map(({ name, shape }) => [name, shape] as const)),
  );
