import { add, select } from '../graph/operations/arithmetic.ts';
import { attendByScores } from '../graph/operations/attend.ts';
import { gatherRows } from '../graph/operations/gather.ts';
import { reshape, slice } from '../graph/operations/layout.ts';
import { layerNorm } from '../graph/operations/normalisation.ts';
import { matmul } from '../graph/operations/product.ts';
import { Value } from '../graph/value.ts';
import type { VisionArchitecture } from './architecture.ts';
import { attentionScores, joinHeads } from './attention.ts';
import { blockParameters, projectHeads, projectOut, withMlp } from './residualBlock.ts';
import type { TextTowerLocation } from './textArchitecture.ts';
import { layerNormEpsilon, parameterInputs, type VisionStage } from './visionStage.ts';

/** Texts of one program: how many, and the tokens of each that are computed. */
export interface TextBatch {
  texts: number;
  tokens: number;
}

/** What the stages know of the model. */
export interface TextModel
  extends TextTowerLocation,
    Pick<VisionArchitecture, 'activation' | 'embeddingDimension'> {}

/** A step of the text tower, as `VisionStage` is one of the image tower. */
export type TextStage = VisionStage;

/** Input of every block: true where a token may look, `[tokens, tokens]`: at itself and what came before. */
export const causalInput = 'causal';
/** Input of the head: for each text the row of its end among all tokens, int32 `[texts]`. */
export const endsInput = 'ends';

/** Token ids, int32 `[texts · tokens]` → embeddings `[texts, D]`, not normalised. Differentiable throughout. */
export function textStages(model: TextModel, batch: TextBatch): TextStage[] {
  const blocks = Array.from({ length: model.architecture.layers }, (_, index) =>
    causalBlock(model, batch, index),
  );
  return [tokenStage(model, batch), ...blocks, textHead(model, batch)];
}

/** What may be seen, row by row. */
export function causalMask(tokens: number): Uint8Array {
  const mask = new Uint8Array(tokens * tokens);
  for (let row = 0; row < tokens; row++) mask.fill(1, row * tokens, row * tokens + row + 1);
  return mask;
}

const keyOf = (stage: string, { texts, tokens }: TextBatch): string => `text ${stage} ${texts}x${tokens}`;

/** Token embedding and positions. */
function tokenStage({ architecture, prefix }: TextModel, batch: TextBatch): TextStage {
  const { vocabularySize, contextLength, width } = architecture;
  const { texts, tokens } = batch;
  const { values, parameters } = parameterInputs(prefix, {
    'token_embedding.weight': [vocabularySize, width],
    positional_embedding: [contextLength, width],
  });
  const ids = Value.input('input', [texts * tokens], 'int32');
  const embedded = reshape(gatherRows(values['token_embedding.weight'], ids), [texts, tokens, width]);
  const placed = add(embedded, slice(values.positional_embedding, 0, 0, tokens));
  return { key: keyOf('tokens', batch), output: reshape(placed, [texts * tokens, width]), parameters };
}

/** Pre-norm residual block whose tokens see those before them. */
function causalBlock(
  { architecture, prefix, activation }: TextModel,
  batch: TextBatch,
  index: number,
): TextStage {
  const { texts, tokens } = batch;
  const sizes = { ...architecture, activation };
  const { values, parameters } = blockParameters(sizes, `${prefix}transformer.resblocks.${index}.`);
  const x = Value.input('input', [texts * tokens, architecture.width]);
  const normed = layerNorm(x, values['ln_1.weight'], values['ln_1.bias'], layerNormEpsilon);
  const { query, key, value } = projectHeads(sizes, values, normed, texts, tokens);
  const seen = Value.input(causalInput, [tokens, tokens], 'bool');
  const scores = select(seen, attentionScores(query, key), Value.constant(Number.NEGATIVE_INFINITY));
  const joined = joinHeads(attendByScores(scores, value));
  const output = withMlp(sizes, values, add(x, projectOut(values, joined)));
  return { key: keyOf('block', batch), output, parameters };
}

/** `ln_final` of each text's end, and the projection to the embedding space. */
function textHead({ architecture, prefix, embeddingDimension }: TextModel, batch: TextBatch): TextStage {
  const { width } = architecture;
  const { values, parameters } = parameterInputs(prefix, {
    'ln_final.weight': [width],
    'ln_final.bias': [width],
    text_projection: [width, embeddingDimension],
  });
  const x = Value.input('input', [batch.texts * batch.tokens, width]);
  const ends = gatherRows(x, Value.input(endsInput, [batch.texts], 'int32'));
  const normed = layerNorm(ends, values['ln_final.weight'], values['ln_final.bias'], layerNormEpsilon);
  return { key: keyOf('head', batch), output: matmul(normed, values.text_projection), parameters };
}
