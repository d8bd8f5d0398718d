import { l2Normalise } from '../graph/functions.ts';
import { add, divide, maximum, multiply, squareRoot, subtract } from '../graph/operations/arithmetic.ts';
import { convolution2d } from '../graph/operations/convolution.ts';
import { reshape } from '../graph/operations/layout.ts';
import { mean } from '../graph/operations/reduction.ts';
import { Value } from '../graph/value.ts';
import type { ResNetArchitecture } from './architecture.ts';
import { attentionPool, densePool } from './attentionPool.ts';
import { bottleneckChannels } from './tensorShapes.ts';
import { type ImageBatch, keyOf, parameterInputs, type VisionStage } from './visionStage.ts';

const batchNormEpsilon = 1e-5;

/** `encode_image`: pixels → embeddings `[B, D]`, not normalised. */
export const resNetImageStages = (architecture: ResNetArchitecture, batch: ImageBatch): VisionStage[] => [
  ...resNetTrunkStages(architecture, batch),
  attentionPool(architecture, batch),
];

/** `encode_dense`: pixels → the pooling's values of every location, projected, `[B · rows · columns, D]` of unit norm. */
export function resNetDenseStages(architecture: ResNetArchitecture, batch: ImageBatch): VisionStage[] {
  const pool = densePool(architecture, batch);
  return [
    ...resNetTrunkStages(architecture, batch),
    { ...pool, key: `normalised ${pool.key}`, output: l2Normalise(pool.output) },
  ];
}

/** Stem and stages: pixels `[B, 3, H, W]` → the last feature map `[B, 32 · width, rows, columns]`. */
export function resNetTrunkStages(architecture: ResNetArchitecture, batch: ImageBatch): VisionStage[] {
  const blocks = architecture.stages.flatMap((count, stage) =>
    Array.from({ length: count }, (_, index) => bottleneck(architecture, batch, stage, index)),
  );
  return [resNetStem(architecture, batch), ...blocks];
}

/** Three convolutions and a mean over 2 × 2 pixels: an image of a quarter of the sides. */
function resNetStem(architecture: ResNetArchitecture, batch: ImageBatch): VisionStage {
  const { width } = architecture;
  const half = width / 2;
  const { values, parameters } = parameterInputs('visual.', {
    ...convolutionShapes('conv1', 'bn1', half, 3, 3),
    ...convolutionShapes('conv2', 'bn2', half, half, 3),
    ...convolutionShapes('conv3', 'bn3', width, half, 3),
  });
  let x = Value.input('input', [batch.batch, 3, batch.height, batch.width]);
  x = rectified(normedConvolution(values, 'conv1', 'bn1', x, { stride: 2, padding: 1 }));
  x = rectified(normedConvolution(values, 'conv2', 'bn2', x, { padding: 1 }));
  x = rectified(normedConvolution(values, 'conv3', 'bn3', x, { padding: 1 }));
  return { key: keyOf('ResNet stem', batch), output: halved(x), parameters };
}

/**
 * A bottleneck: 1 × 1, 3 × 3 and 1 × 1 convolutions beside a shortcut. Strides are means over 2 × 2 pixels, after the
 * second convolution and before the shortcut's, so that nothing is skipped.
 */
function bottleneck(
  architecture: ResNetArchitecture,
  batch: ImageBatch,
  stage: number,
  index: number,
): VisionStage {
  const { inputs, hidden } = bottleneckChannels(architecture, stage, index);
  const first = index === 0;
  const halves = first && stage > 0;
  const { values, parameters } = parameterInputs<string>(`visual.layer${stage + 1}.${index}.`, {
    ...convolutionShapes('conv1', 'bn1', hidden, inputs, 1),
    ...convolutionShapes('conv2', 'bn2', hidden, hidden, 3),
    ...convolutionShapes('conv3', 'bn3', 4 * hidden, hidden, 1),
    ...(first ? convolutionShapes('downsample.0', 'downsample.1', 4 * hidden, inputs, 1) : {}),
  });
  // Side of the input map as a multiple of the last feature map's.
  const scale = 2 ** (3 - stage + (halves ? 1 : 0));
  const x = Value.input('input', [batch.batch, inputs, batch.rows * scale, batch.columns * scale]);
  let main = rectified(normedConvolution(values, 'conv1', 'bn1', x));
  main = rectified(normedConvolution(values, 'conv2', 'bn2', main, { padding: 1 }));
  main = normedConvolution(values, 'conv3', 'bn3', halves ? halved(main) : main);
  const shortcut = first
    ? normedConvolution(values, 'downsample.0', 'downsample.1', halves ? halved(x) : x)
    : x;
  const key = keyOf(`bottleneck ${stage} ${first ? 'first' : 'further'}`, batch);
  return { key, output: rectified(add(main, shortcut)), parameters };
}

/** Parameters of a convolution and of the batch norm behind it. */
const convolutionShapes = (
  kernel: string,
  norm: string,
  outputs: number,
  inputs: number,
  side: number,
): Record<string, readonly number[]> => ({
  [`${kernel}.weight`]: [outputs, inputs, side, side],
  [`${norm}.weight`]: [outputs],
  [`${norm}.bias`]: [outputs],
  [`${norm}.running_mean`]: [outputs],
  [`${norm}.running_var`]: [outputs],
});

/** The frozen batch norm is a factor and a shift of every channel; the factor goes into the kernel. */
function normedConvolution(
  values: Readonly<Record<string, Value>>,
  kernelName: string,
  normName: string,
  x: Value,
  settings: { stride?: number; padding?: number } = {},
): Value {
  const kernel = values[`${kernelName}.weight`]!;
  const channels = kernel.shape[0]!;
  const of = (part: string): Value => values[`${normName}.${part}`]!;
  const deviation = squareRoot(add(of('running_var'), Value.constant(batchNormEpsilon)));
  const factor = divide(of('weight'), deviation);
  const shift = subtract(of('bias'), multiply(of('running_mean'), factor));
  const scaled = multiply(kernel, reshape(factor, [channels, 1, 1, 1]));
  return add(convolution2d(x, scaled, settings), reshape(shift, [1, channels, 1, 1]));
}

const rectified = (x: Value): Value => maximum(x, Value.constant(0));

/** Mean over 2 × 2 pixels, `[B, C, H, W]` → `[B, C, H/2, W/2]`; the sides are even. */
function halved(x: Value): Value {
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  const cells = reshape(x, [batch * channels, height / 2, 2, width / 2, 2]);
  return reshape(mean(cells, [2, 4]), [batch, channels, height / 2, width / 2]);
}
