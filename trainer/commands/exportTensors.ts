/** What other programs want of a model's tensors: other names, half precision, OpenAI's three numbers. */
import { FileError } from '../checkpoints/fileError.ts';
import type { HostTensor } from '../checkpoints/hostTensor.ts';
import type { ModelFiles } from '../checkpoints/modelFiles.ts';
import { toFloat16 } from '../float16.ts';
import type { VisionArchitecture } from '../models/architecture.ts';
import { UsageError } from '../usageError.ts';

export type Tensors = ReadonlyMap<string, HostTensor>;

/** How names change: what does not start with `strip` is left out, the others lose it; then `prefix` goes in front. */
export interface Renaming {
  strip: string;
  prefix: string;
}

/**
 * Tensors under other names, in their order.
 *
 * @throws UsageError when no name starts with what is to be stripped.
 */
export function renamed(tensors: Tensors, { strip, prefix }: Renaming): Tensors {
  const result = new Map<string, HostTensor>();
  for (const [name, tensor] of tensors)
    if (name.startsWith(strip) && name !== strip) result.set(prefix + name.slice(strip.length), tensor);
  if (result.size > 0) return result;
  const [first] = tensors.keys();
  throw new UsageError(`--strip ${strip}: no tensor has a name that starts so; the first is '${first}'`);
}

/** float32 numbers rounded to float16; others as they are. */
export const halvedTensors = (tensors: Tensors): Tensors =>
  new Map(
    [...tensors].map(([name, tensor]) => [
      name,
      tensor.data instanceof Float32Array
        ? { shape: tensor.shape, dtype: 'float16', data: toFloat16(tensor.data) }
        : tensor,
    ]),
  );

const wholeNumber = (value: number): HostTensor => ({
  shape: [],
  dtype: 'int64',
  data: BigInt64Array.of(BigInt(value)),
});

/** OpenAI's programs derive the number of heads from the width. */
const openAiHeadWidth = 64;

/** Why programs made for OpenAI's CLIP cannot take an image tower; null when they can. */
function notForOpenAi(architecture: VisionArchitecture): string | null {
  const { kind, width, heads, activation } = architecture;
  if (kind === 'eva02') return 'an EVA-02 tower has another structure';
  if (activation !== 'quickGelu') return 'its activation is the exact GELU, OpenAI’s is QuickGELU';
  if (kind !== 'resnet' && width !== heads * openAiHeadWidth)
    return `it has ${heads} heads for a width of ${width}, OpenAI's has one for every ${openAiHeadWidth}`;
  return null;
}

/**
 * The state dict of OpenAI's archives: CLIP's names, and the three numbers that programs made for them take away again.
 *
 * @throws FileError when such programs would compute something else with this model, or could not load it.
 */
export function openAiStateDict({ weightsFile, architecture }: ModelFiles, tensors: Tensors): Tensors {
  const reason = notForOpenAi(architecture);
  if (reason !== null) throw new FileError(weightsFile, reason, 'Use --format openclip');
  const [positions, words] = ['positional_embedding', 'token_embedding.weight'].map(name => {
    const length = tensors.get(name)?.shape[0];
    if (length !== undefined) return length;
    throw new FileError(weightsFile, `it has no tensor '${name}'`, 'Use a model with its text tower');
  }) as [number, number];
  return new Map([
    ...tensors,
    ['input_resolution', wholeNumber(architecture.imageSize)],
    ['context_length', wholeNumber(positions)],
    ['vocab_size', wholeNumber(words)],
  ]);
}
