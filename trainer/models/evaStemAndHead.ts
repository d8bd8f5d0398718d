import { l2Normalise } from '../graph/functions.ts';
import { reshape } from '../graph/operations/layout.ts';
import { layerNorm } from '../graph/operations/normalisation.ts';
import { affine } from '../graph/operations/product.ts';
import { Value } from '../graph/value.ts';
import { type Eva02Architecture, gridSide } from './architecture.ts';
import { evaLayerNormEpsilon } from './evaBlock.ts';
import { stemKey, unfold, withPositions } from './stemAndHead.ts';
import { type ImageBatch, keyOf, parameterInputs, type VisionStage } from './visionStage.ts';

/** Patch embedding with bias, class token, absolute positions (interpolated); no norm follows. */
export function evaStem(architecture: Eva02Architecture, batch: ImageBatch): VisionStage {
  const { width, patchSize } = architecture;
  const { values, parameters } = parameterInputs('visual.', {
    'patch_embed.proj.weight': [width, 3, patchSize, patchSize],
    'patch_embed.proj.bias': [width],
    cls_token: [1, 1, width],
    pos_embed: [1, 1 + gridSide(architecture) ** 2, width],
  });
  const kernel = reshape(values['patch_embed.proj.weight'], [width, 3 * patchSize * patchSize]);
  const embedded = affine(unfold(batch, patchSize), kernel, values['patch_embed.proj.bias']);
  const classToken = reshape(values.cls_token, [width]);
  const positions = reshape(values.pos_embed, [1 + gridSide(architecture) ** 2, width]);
  const output = withPositions(architecture, batch, embedded, classToken, positions);
  return { key: `EVA ${stemKey(architecture, batch)}`, output, parameters };
}

/** Last norm and the linear layer to the embedding space, with bias. */
function projectEva({ width, embeddingDimension }: Eva02Architecture, rows: number) {
  const { values, parameters } = parameterInputs('visual.', {
    'norm.weight': [width],
    'norm.bias': [width],
    'head.weight': [embeddingDimension, width],
    'head.bias': [embeddingDimension],
  });
  const x = Value.input('input', [rows, width]);
  const normed = layerNorm(x, values['norm.weight'], values['norm.bias'], evaLayerNormEpsilon);
  return { projected: affine(normed, values['head.weight'], values['head.bias']), parameters };
}

export function evaImageHead(architecture: Eva02Architecture, batch: ImageBatch): VisionStage {
  const { projected, parameters } = projectEva(architecture, batch.batch);
  return { key: keyOf('EVA image head', batch), output: projected, parameters };
}

export function evaDenseHead(architecture: Eva02Architecture, batch: ImageBatch): VisionStage {
  const { projected, parameters } = projectEva(architecture, batch.batch * batch.rows * batch.columns);
  return { key: keyOf('EVA dense head', batch), output: l2Normalise(projected), parameters };
}
