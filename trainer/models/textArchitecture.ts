import { FileError } from '../checkpoints/fileError.ts';
import { checkBlockCount, checkTensors, type ShapedTensor, type VisionArchitecture } from './architecture.ts';
import { textTensorShapes } from './tensorShapes.ts';

/** The sizes of CLIP's text transformer. Its activation is the model's. */
export interface TextArchitecture {
  readonly kind: 'clip';
  /** Tokens that it sees at most, start and end among them. */
  readonly contextLength: number;
  readonly vocabularySize: number;
  /** Channels of a token. */
  readonly width: number;
  readonly heads: number;
  readonly layers: number;
  /** Hidden channels of a block's MLP. */
  readonly mlpWidth: number;
  /**
   * A text is read out at the first token of this id; where it is null, as in OpenAI's and OpenCLIP's models, at the
   * first token of the text's highest id, which is the end token's in CLIP's vocabulary.
   */
  readonly endOfText: number | null;
}

/** What a model's configuration says of its text tower. */
export type TextDescription =
  | TextArchitecture
  /** One that is not computed here; its `text_cfg` stays as it was found. */
  | {
      readonly kind: 'other';
      readonly reason: string;
      readonly configuration: Readonly<Record<string, unknown>>;
    }
  | { readonly kind: 'none' };

/** A text tower in a checkpoint. */
export interface TextTowerLocation {
  readonly architecture: TextArchitecture;
  /** What stands before the names of its tensors: EVA-CLIP and OpenCLIP's custom models keep it under `text.`. */
  readonly prefix: '' | 'text.';
}

/** The model cannot read words: it has no text tower, or none that is computed here. */
export class NoTextTowerError extends FileError {
  constructor(file: string, reason: string) {
    super(file, reason, 'Use a whole CLIP model with its text tower, or class embeddings from a .npy file');
    this.name = 'NoTextTowerError';
  }
}

const markTensor = 'token_embedding.weight';

/**
 * The text tower of a checkpoint under OpenCLIP's names, checked tensor by tensor.
 *
 * @throws NoTextTowerError when there is none that is computed here; FileError when its tensors do not fit the
 *   configuration.
 */
export function locateTextTower(
  { file, tensors }: { readonly file: string; readonly tensors: ReadonlyMap<string, ShapedTensor> },
  { text, embeddingDimension }: Pick<VisionArchitecture, 'text' | 'embeddingDimension'>,
): TextTowerLocation {
  const prefix = (['', 'text.'] as const).find(candidate => tensors.has(candidate + markTensor));
  if (prefix === undefined) throw new NoTextTowerError(file, 'it holds no text tower that is read here');
  if (text.kind === 'none')
    throw new NoTextTowerError(file, 'its configuration does not describe its text tower (text_cfg)');
  if (text.kind === 'other')
    throw new NoTextTowerError(file, `its text tower is not read here: ${text.reason}`);
  const described = `text tower (${describeTextTower(text)})`;
  const shapes = [...textTensorShapes(text, embeddingDimension)];
  checkTensors(
    tensors,
    shapes.map(([name, shape]) => [prefix + name, shape] as const),
    described,
    file,
  );
  checkBlockCount(tensors, `${prefix}transformer.resblocks.${text.layers}.`, text.layers, described, file);
  return { architecture: text, prefix };
}

/** For messages: `77 tokens of 49408, width 512, 12 layers, 8 heads`. */
export const describeTextTower = (text: TextArchitecture): string =>
  `${text.contextLength} tokens of ${text.vocabularySize}, width ${text.width}, ${text.layers} layers, ${text.heads} heads`;
