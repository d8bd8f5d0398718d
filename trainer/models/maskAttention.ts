import { add, select } from '../graph/operations/arithmetic.ts';
import { attendByScores } from '../graph/operations/attend.ts';
import { slice } from '../graph/operations/layout.ts';
import { layerNorm } from '../graph/operations/normalisation.ts';
import { affine } from '../graph/operations/product.ts';
import { broadcastTo } from '../graph/operations/reduction.ts';
import { Value } from '../graph/value.ts';
import type { ClipVitArchitecture, VisionArchitecture } from './architecture.ts';
import {
  attention,
  attentionScores,
  isOneOperation,
  joinHeads,
  type Projections,
  partHeads,
} from './attention.ts';
import {
  attendedTokens,
  type BlockValues,
  openBlock,
  projectHeads,
  projectOut,
  withMlp,
} from './residualBlock.ts';
import { type ImageBatch, keyOf, layerNormEpsilon, tokenCount } from './visionStage.ts';

/**
 * Mask attention, the published code's first read-out for regions (v1): a copy of the class token for each region, a
 * reader, travels through the blocks beside the image's own tokens. A reader sees the class token and the patches in
 * its mask; nobody sees a reader, so that the image's tokens are what they would be without them.
 */
export interface MaskAttentionStage {
  key: string;
  /** `output`: the image's tokens `[tokens, width]`; `readers` `[regions, width]`. */
  outputs: { output: Value; readers: Value };
  parameters: Readonly<Record<string, string>>;
}

/** It is defined for CLIP's own vision transformers. */
export const hasMaskAttention = (architecture: VisionArchitecture): architecture is ClipVitArchitecture =>
  architecture.kind === 'openai' || architecture.kind === 'openclip';

/** Input of a stage: true where a reader may look, `[regions, tokens]`; the class token's column is always true. */
export const visibleInput = 'visible';

/** Copies of the class token after the stem, one for each region: tokens `[tokens, width]` → `[regions, width]`. */
export function firstReaders(architecture: ClipVitArchitecture, image: ImageBatch, regions: number): Value {
  const tokens = Value.input('input', [tokenCount(image), architecture.width]);
  return broadcastTo(slice(tokens, 0, 0, 1), [regions, architecture.width]);
}

/** Block `index` for one image's tokens and the readers of its regions. */
export function maskAttentionBlock(
  architecture: ClipVitArchitecture,
  image: ImageBatch,
  index: number,
  regions: number,
): MaskAttentionStage {
  const { values, parameters, x, normed } = openBlock(architecture, image, index);
  const heads = projectHeads(architecture, values, normed, image.batch, tokenCount(image));
  const joined = isOneOperation(image, architecture.heads)
    ? attendedTokens(architecture, values, normed, image)
    : joinHeads(attention(heads.query, heads.key, heads.value));
  const output = withMlp(architecture, values, add(x, projectOut(values, joined)), image);
  const readers = Value.input('readers', [regions, architecture.width]);
  const seen = readMasked(architecture, values, readers, heads);
  return {
    key: keyOf(`mask attention ${regions}`, image),
    outputs: { output, readers: withMlp(architecture, values, add(readers, projectOut(values, seen))) },
    parameters,
  };
}

/** What the readers gather from the image's keys and values, `[regions, width]`. */
function readMasked(
  architecture: ClipVitArchitecture,
  values: BlockValues,
  readers: Value,
  { key, value }: Projections,
): Value {
  const { width, heads } = architecture;
  const regions = readers.shape[0]!;
  const tokens = key.shape[2]!;
  const normed = layerNorm(readers, values['ln_1.weight'], values['ln_1.bias'], layerNormEpsilon);
  const weight = slice(values['attn.in_proj_weight'], 0, 0, width);
  const asked = affine(normed, weight, slice(values['attn.in_proj_bias'], 0, 0, width));
  const query = partHeads(asked, 1, heads);
  const visible = Value.input(visibleInput, [regions, tokens], 'bool');
  const masked = select(visible, attentionScores(query, key), Value.constant(Number.NEGATIVE_INFINITY));
  return joinHeads(attendByScores(masked, value));
}

/**
 * Which patches a box covers: its edges in cells, truncated towards zero, the far ones excluded (published code, v1).
 * A box thinner than a cell covers none and reads the class token alone; an edge more than a cell before the image
 * counts from the far side, as negative indices do in Python.
 *
 * @param boxes [regions, 4] as fractions of the padded image, float32.
 * @returns [regions, 1 + rows · columns], 1 where the reader may look.
 */
export function visibleUnderBoxes(boxes: Float32Array, { rows, columns }: ImageBatch): Uint8Array {
  const tokens = 1 + rows * columns;
  const visible = new Uint8Array((boxes.length / 4) * tokens);
  for (let region = 0; region < boxes.length / 4; region++) {
    const edge = (position: number, cells: number): number =>
      pythonIndex(Math.trunc(Math.fround(boxes[region * 4 + position]! * cells)), cells);
    const [left, top, right, bottom] = [edge(0, columns), edge(1, rows), edge(2, columns), edge(3, rows)];
    visible[region * tokens] = 1;
    for (let row = top; row < bottom; row++)
      visible.fill(
        1,
        region * tokens + 1 + row * columns + left,
        region * tokens + 1 + row * columns + Math.max(left, right),
      );
  }
  return visible;
}

/** A slice bound as Python clamps it. */
const pythonIndex = (index: number, length: number): number =>
  Math.min(length, index < 0 ? Math.max(0, index + length) : index);

/** Visibility from masks at the size of the feature map, `[regions, rows · columns]`, non-zero inside. */
export function visibleUnderMasks(masks: Uint8Array, { rows, columns }: ImageBatch): Uint8Array {
  const cells = rows * columns;
  const regions = masks.length / cells;
  const visible = new Uint8Array(regions * (1 + cells));
  for (let region = 0; region < regions; region++) {
    visible[region * (1 + cells)] = 1;
    for (let cell = 0; cell < cells; cell++)
      visible[region * (1 + cells) + 1 + cell] = masks[region * cells + cell] === 0 ? 0 : 1;
  }
  return visible;
}
