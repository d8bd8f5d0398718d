import { lossGradients } from '../graph/gradients.ts';
import { add, divide, maximum, multiply, squareRoot } from '../graph/operations/arithmetic.ts';
import { total } from '../graph/operations/reduction.ts';
import { gradientName, type Outputs } from '../graph/split.ts';
import { Value } from '../graph/value.ts';
import type { ClipVitArchitecture } from '../models/architecture.ts';
import { joinStages } from '../models/joinStages.ts';
import { causalInput, endsInput, type TextModel, textStages } from '../models/textStages.ts';
import { imageStages } from '../models/visionStages.ts';
import { contrastiveLoss, logitScaleName } from './contrastiveLoss.ts';

export interface DualEncoder {
  image: ClipVitArchitecture;
  text: TextModel;
}

/** Inputs of the training graph beside the parameters and the two tables of the text tower. */
export const pixelsInput = 'pixels';
export const idsInput = 'ids';

/** Names of the training graph's outputs beside `gradient/<parameter>`. */
export const lossOutput = 'loss';
export const gradNormOutput = 'gradNorm';

/** A norm of this size or less is not enlarged by clipping (PyTorch's `clip_grad_norm_`). */
const clipEpsilon = 1e-6;

/** Loss of a batch of image–text pairs as one graph of both towers, and its parameters by checkpoint name. */
export function dualEncoderLoss(
  { image, text }: DualEncoder,
  batch: number,
): { loss: Value; parameters: Map<string, Value> } {
  const { imageSize, patchSize } = image;
  const side = Math.floor(imageSize / patchSize);
  const pixels = Value.input(pixelsInput, [batch, 3, imageSize, imageSize]);
  const shape = { batch, height: imageSize, width: imageSize, rows: side, columns: side };
  const images = joinStages(imageStages(image, shape), pixels);
  const tokens = text.architecture.contextLength;
  const ids = Value.input(idsInput, [batch * tokens], 'int32');
  const texts = joinStages(textStages(text, { texts: batch, tokens }), ids);
  const logitScale = Value.input(logitScaleName, []);
  const parameters = new Map([...images.inputs, ...texts.inputs, [logitScaleName, logitScale]]);
  for (const table of [causalInput, endsInput]) parameters.delete(table);
  return { loss: contrastiveLoss(images.output, texts.output, logitScale), parameters };
}

/**
 * The graph of a training step: loss, global norm of all gradients, and every gradient, scaled down so that the norm
 * is at most `clip`.
 */
export function trainingGraph(model: DualEncoder, batch: number, clip: number): Outputs {
  const { loss, parameters } = dualEncoderLoss(model, batch);
  const names = [...parameters.keys()];
  const gradients = lossGradients(loss, [...parameters.values()]);
  const squares = gradients.map(gradient => total(multiply(gradient!, gradient!)));
  const norm = squareRoot(squares.reduce((sum, square) => add(sum, square)));
  const factor = clippingFactor(norm, clip);
  const outputs: Record<string, Value> = { [lossOutput]: loss, [gradNormOutput]: norm };
  names.forEach((name, index) => {
    outputs[gradientName(name)] = multiply(gradients[index]!, factor);
  });
  return outputs;
}

/** min(1, clip / (norm + ε)) as clip / max(clip, norm + ε). */
function clippingFactor(norm: Value, clip: number): Value {
  return divide(Value.constant(clip), maximum(Value.constant(clip), add(norm, Value.constant(clipEpsilon))));
}
