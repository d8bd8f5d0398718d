/** The one place that knows `@huggingface/tokenizers`. */
import { Tokenizer as ByteLevelTokenizer } from '@huggingface/tokenizers';
import { cleanText } from './cleanText.ts';
import { clipVocabulary, readVocabulary, type Vocabulary, wordPattern } from './vocabulary.ts';

/** Longer texts are refused: CLIP sees 77 tokens, and no sensible prompt comes near. */
const maximumCharacters = 20_000;

/** CLIP's tokeniser: a text becomes start, tokens of its words, end, and zeros up to the context length. */
export class Tokenizer {
  /** One more than the highest id. */
  readonly vocabularySize: number;
  readonly endOfText: number;
  readonly #startOfText: number;
  readonly #words: ByteLevelTokenizer;

  constructor(vocabulary: Vocabulary) {
    const { ids, merges, start, end } = vocabulary;
    let highest = Math.max(start.id, end.id);
    for (const id of Object.values(ids)) highest = Math.max(highest, id);
    this.vocabularySize = highest + 1;
    this.#startOfText = start.id;
    this.endOfText = end.id;
    const vocab = { ...ids, [start.content]: start.id, [end.content]: end.id };
    const description = {
      added_tokens: [start, end].map(({ content, id }) => ({ content, id, special: true })),
      normalizer: null,
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          { type: 'Split', pattern: { Regex: wordPattern }, behavior: 'Removed', invert: true },
          { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
        ],
      },
      post_processor: null,
      decoder: null,
      model: { type: 'BPE', unk_token: end.content, end_of_word_suffix: '</w>', vocab, merges },
    };
    this.#words = new ByteLevelTokenizer(description, {});
  }

  /**
   * Token ids of a text, padded with zeros; one that is too long is cut and keeps its end token last.
   *
   * @param contextLength Ids that the text tower takes.
   * @throws RangeError when the text is absurdly long.
   */
  encode(text: string, contextLength: number): Int32Array {
    if (text.length > maximumCharacters)
      throw new RangeError(`a text of ${text.length} characters is longer than ${maximumCharacters}`);
    const ids = this.#words.encode(cleanText(text), { add_special_tokens: false }).ids;
    const row = new Int32Array(contextLength);
    row.set([this.#startOfText, ...ids].slice(0, contextLength - 1));
    row[Math.min(ids.length + 1, contextLength - 1)] = this.endOfText;
    return row;
  }
}

let clip: Tokenizer | undefined;

/** The tokeniser with OpenAI's vocabulary, made once. */
export function clipTokenizer(): Tokenizer {
  clip ??= new Tokenizer(clipVocabulary());
  return clip;
}

/**
 * The tokeniser with the vocabulary of a model's own `tokenizer.json`.
 *
 * @throws FileError when it is none of a CLIP model.
 */
export const readTokenizer = async (file: string): Promise<Tokenizer> =>
  new Tokenizer(await readVocabulary(file));
