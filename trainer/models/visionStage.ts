import { reshape, slice } from '../graph/operations/layout.ts';
import { Value } from '../graph/value.ts';

/**
 * A step of an image tower: a graph from `input` to `output` whose other inputs are its parameters and the position
 * tables of the patch grid. Stages with the same `key` are the same graph with other weights, so that all blocks of a
 * tower share one program. Tokens travel as `[batch · tokens, width]`.
 */
export interface VisionStage {
  key: string;
  output: Value;
  /** Checkpoint name of each parameter by the graph's input name. */
  parameters: Readonly<Record<string, string>>;
  /** The same of one image for a program that has its weights for good, see `FrozenPrograms`; of blocks alone. */
  frozen?: () => VisionStage;
}

/** Images of one program: how many, their pixels, and their patch grid. */
export interface ImageBatch {
  batch: number;
  /** Pixels down and across. */
  height: number;
  width: number;
  /** Patches down and across: floor(pixels / patch size). */
  rows: number;
  columns: number;
  /** Bytes of attention weights that a backward pass makes at a time where there are many, see `Engine.pieceBytes`. */
  attentionPieceBytes?: number | undefined;
  /**
   * The same of the hidden layer of an MLP; for passes without gradients alone, whose programs would hold the pieces
   * of several layers at once.
   */
  hiddenPieceBytes?: number | undefined;
  /**
   * Whether weights are constants of the program: then they are cut up and filled up once, instead of what is computed
   * with them each time.
   */
  frozen?: boolean;
}

/** One of the images, with weights that are constants. */
export const frozenImage = (images: ImageBatch): ImageBatch => ({ ...images, batch: 1, frozen: true });

/** Epsilon of every layer normalisation in OpenAI's and OpenCLIP's towers; EVA-02 has its own. */
export const layerNormEpsilon = 1e-5;

/** Tokens of one image: the class token and the patches. */
export const tokenCount = ({ rows, columns }: ImageBatch): number => 1 + rows * columns;

export const keyOf = (stage: string, { batch, rows, columns }: ImageBatch): string =>
  `${stage} ${batch}x${rows}x${columns}`;

/** Graph inputs for parameters, and where a checkpoint keeps them: `prefix` + name. */
export function parameterInputs<Name extends string>(
  prefix: string,
  shapes: Readonly<Record<Name, readonly number[]>>,
): { values: Record<Name, Value>; parameters: Record<Name, string> } {
  const names = Object.keys(shapes) as Name[];
  const values = Object.fromEntries(names.map(name => [name, Value.input(name, shapes[name])]));
  const parameters = Object.fromEntries(names.map(name => [name, prefix + name]));
  return { values: values as Record<Name, Value>, parameters: parameters as Record<Name, string> };
}

/** Token 0 of every image, `[B, width]`. */
export function classTokens(x: Value, batch: ImageBatch): Value {
  const width = x.shape[1]!;
  const byImage = reshape(x, [batch.batch, tokenCount(batch), width]);
  return reshape(slice(byImage, 1, 0, 1), [batch.batch, width]);
}

/** Every token but the first of every image, `[B · rows · columns, width]`. */
export function patchTokens(x: Value, batch: ImageBatch): Value {
  const width = x.shape[1]!;
  const byImage = reshape(x, [batch.batch, tokenCount(batch), width]);
  const count = batch.rows * batch.columns;
  return reshape(slice(byImage, 1, 1, count + 1), [batch.batch * count, width]);
}
