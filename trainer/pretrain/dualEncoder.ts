import { lossGradients } from '../graph/gradients.ts';
import { add, divide, maximum, multiply, squareRoot } from '../graph/operations/arithmetic.ts';
import { concat, reshape } from '../graph/operations/layout.ts';
import { total } from '../graph/operations/reduction.ts';
import { gradientName, type Outputs, substitute } from '../graph/split.ts';
import { Value } from '../graph/value.ts';
import type { ClipVitArchitecture } from '../models/architecture.ts';
import { joinStages } from '../models/joinStages.ts';
import { causalInput, endsInput, type TextModel, textStages } from '../models/textStages.ts';
import { imageStages } from '../models/visionStages.ts';
import { contrastiveLoss, logitScaleName } from './contrastiveLoss.ts';
import { type Pack, packed, packParameters, unpacked } from './packedParameters.ts';

export interface DualEncoder {
  image: ClipVitArchitecture;
  text: TextModel;
}

/** Inputs of the training graph beside the parameters and the two tables of the text tower. */
export const pixelsInput = 'pixels';
export const idsInput = 'ids';

/** Name of the training graph's output beside `gradient/<pack>`: `[2]`, the loss and the norm of the gradients. */
export const reportOutput = 'report';

/** A norm of this size or less is not enlarged by clipping (PyTorch's `clip_grad_norm_`). */
const clipEpsilon = 1e-6;

/** Pairs of a step: `groups` batches side by side, each with a contrast of its own. */
export interface StepShape {
  batch: number;
  groups: number;
}

/** Loss of a step's image–text pairs as one graph of both towers, and its parameters by checkpoint name. */
export function dualEncoderLoss(
  { image, text }: DualEncoder,
  { batch, groups }: StepShape,
): { loss: Value; parameters: Map<string, Value> } {
  const { imageSize, patchSize } = image;
  const pairs = batch * groups;
  const side = Math.floor(imageSize / patchSize);
  const pixels = Value.input(pixelsInput, [pairs, 3, imageSize, imageSize]);
  const shape = { batch: pairs, height: imageSize, width: imageSize, rows: side, columns: side };
  const images = joinStages(imageStages(image, shape), pixels);
  const tokens = text.architecture.contextLength;
  const ids = Value.input(idsInput, [pairs * tokens], 'int32');
  const texts = joinStages(textStages(text, { texts: pairs, tokens }), ids);
  const logitScale = Value.input(logitScaleName, []);
  const parameters = new Map([...images.inputs, ...texts.inputs, [logitScaleName, logitScale]]);
  for (const table of [causalInput, endsInput]) parameters.delete(table);
  return { loss: contrastiveLoss(images.output, texts.output, logitScale, groups), parameters };
}

/** The model's parameters as they are packed for training. */
export function packsOf(model: DualEncoder): Pack[] {
  const { parameters } = dualEncoderLoss(model, { batch: 1, groups: 1 });
  return packParameters(new Map([...parameters].map(([name, { shape }]) => [name, shape])));
}

/**
 * The graph of a training step on packed parameters: loss, global norm of all gradients, and the gradient of every pack,
 * scaled down so that the norm is at most `clip`.
 */
export function trainingGraph(model: DualEncoder, step: StepShape, clip: number): Outputs {
  const { loss, parameters } = dualEncoderLoss(model, step);
  const names = [...parameters.keys()];
  const found = lossGradients(loss, [...parameters.values()]);
  const byName = new Map(names.map((name, index) => [name, found[index]!]));
  const packs = packsOf(model);
  const gradients = packs.map(pack => packed(pack, byName));
  const squares = gradients.map(gradient => total(multiply(gradient, gradient)));
  const norm = squareRoot(squares.reduce((sum, square) => add(sum, square)));
  const factor = clippingFactor(norm, clip);
  const report = [loss, norm].map(value => reshape(value, [1]));
  const outputs: Record<string, Value> = { [reportOutput]: concat(report, 0) };
  packs.forEach(({ name }, index) => {
    outputs[gradientName(name)] = multiply(gradients[index]!, factor);
  });
  const members = packs.flatMap(pack => unpacked(pack, Value.input(pack.name, pack.shape)));
  return substitute(outputs, new Map(members.map(([name, value]) => [parameters.get(name)!, value])));
}

/** min(1, clip / (norm + ε)) as clip / max(clip, norm + ε). */
function clippingFactor(norm: Value, clip: number): Value {
  return divide(Value.constant(clip), maximum(Value.constant(clip), add(norm, Value.constant(clipEpsilon))));
}
