import { add } from '../graph/operations/arithmetic.ts';
import { concat, reshape, transpose } from '../graph/operations/layout.ts';
import { affine } from '../graph/operations/product.ts';
import { mean } from '../graph/operations/reduction.ts';
import { Value } from '../graph/value.ts';
import { gridSide, type ResNetArchitecture } from './architecture.ts';
import { attention, joinHeads, partHeads } from './attention.ts';
import { positionsFor } from './stemAndHead.ts';
import {
  classTokens,
  type ImageBatch,
  keyOf,
  parameterInputs,
  patchTokens,
  tokenCount,
  type VisionStage,
} from './visionStage.ts';

function poolParameters(architecture: ResNetArchitecture) {
  const channels = 32 * architecture.width;
  return parameterInputs('visual.attnpool.', {
    positional_embedding: [1 + gridSide(architecture) ** 2, channels],
    'q_proj.weight': [channels, channels],
    'q_proj.bias': [channels],
    'k_proj.weight': [channels, channels],
    'k_proj.bias': [channels],
    'v_proj.weight': [channels, channels],
    'v_proj.bias': [channels],
    'c_proj.weight': [architecture.embeddingDimension, channels],
    'c_proj.bias': [architecture.embeddingDimension],
  });
}

type PoolValues = ReturnType<typeof poolParameters>['values'];

/** The last feature map `[B, C, rows, columns]` as tokens with positions, their mean first, `[B · tokens, C]`. */
function pooledTokens(architecture: ResNetArchitecture, batch: ImageBatch, values: PoolValues): Value {
  const channels = 32 * architecture.width;
  const count = batch.rows * batch.columns;
  const map = Value.input('input', [batch.batch, channels, batch.rows, batch.columns]);
  const tokens = transpose(reshape(map, [batch.batch, channels, count]), [0, 2, 1]);
  const whole = reshape(mean(tokens, [1]), [batch.batch, 1, channels]);
  const all = concat([whole, tokens], 1);
  const placed = add(all, positionsFor(architecture, batch, values.positional_embedding));
  return reshape(placed, [batch.batch * tokenCount(batch), channels]);
}

/** The mean of a feature map asks all its locations: → embeddings `[B, D]`, not normalised. */
export function attentionPool(architecture: ResNetArchitecture, batch: ImageBatch): VisionStage {
  const { values, parameters } = poolParameters(architecture);
  const x = pooledTokens(architecture, batch, values);
  const part = (projected: Value): Value => partHeads(projected, batch.batch, architecture.heads);
  const query = part(affine(classTokens(x, batch), values['q_proj.weight'], values['q_proj.bias']));
  const key = part(affine(x, values['k_proj.weight'], values['k_proj.bias']));
  const value = part(affine(x, values['v_proj.weight'], values['v_proj.bias']));
  const joined = joinHeads(attention(query, key, value));
  const output = affine(joined, values['c_proj.weight'], values['c_proj.bias']);
  return { key: keyOf('attention pool', batch), output, parameters };
}

/** Every location's own value, projected out, `[B · rows · columns, D]`, not normalised. */
export function densePool(architecture: ResNetArchitecture, batch: ImageBatch): VisionStage {
  const { values, parameters } = poolParameters(architecture);
  const x = patchTokens(pooledTokens(architecture, batch, values), batch);
  const value = affine(x, values['v_proj.weight'], values['v_proj.bias']);
  const output = affine(value, values['c_proj.weight'], values['c_proj.bias']);
  return { key: keyOf('dense pool', batch), output, parameters };
}
