import { wordPattern } from '../text/vocabulary.ts';

/** What a token may consist of: the printable characters of ASCII, in lower case. */
const characters = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index)).filter(
  character => !/[A-Z]/.test(character),
);

const wordEnd = '</w>';
const start = '<|startoftext|>';
const end = '<|endoftext|>';

/**
 * Content of a `tokenizer.json` for CLIP's tokeniser in which each of the given words is one token; any other text is
 * spelt. The end token has the highest id, by which CLIP's text tower finds it.
 *
 * @param words In lower case; a word's id depends on the words before it alone.
 */
export function wordTokenizer(words: readonly string[]): { content: object; size: number } {
  const tokens = [...characters, ...characters.map(character => character + wordEnd)];
  const ranks = new Map<string, number>();
  const known = new Set(tokens);
  for (const word of words) {
    let parts = merged(spelt(word), ranks);
    while (parts.length > 1) {
      const [left, right] = parts as [string, string];
      ranks.set(`${left} ${right}`, ranks.size);
      if (!known.has(left + right)) tokens.push(left + right);
      known.add(left + right);
      // A merge that comes last changes no word that is one token already.
      parts = merged(parts, ranks);
    }
  }
  tokens.push(start, end);
  return { content: describe(tokens, [...ranks.keys()]), size: tokens.length };
}

/** The words of sentences, in the order of their first appearance, as CLIP's tokeniser parts them. */
export function wordsOf(sentences: Iterable<string>): string[] {
  const words = new Set<string>();
  const pattern = new RegExp(wordPattern, 'gu');
  for (const sentence of sentences)
    for (const [word] of sentence.toLowerCase().matchAll(pattern)) words.add(word);
  return [...words];
}

const spelt = (word: string): string[] =>
  [...word].map((character, index, all) => (index === all.length - 1 ? character + wordEnd : character));

/** Byte-pair encoding: the most urgent pair of neighbours becomes one, until there is none. */
function merged(parts: readonly string[], ranks: ReadonlyMap<string, number>): string[] {
  const result = [...parts];
  for (;;) {
    let best = { rank: Number.POSITIVE_INFINITY, at: -1 };
    for (let at = 0; at + 1 < result.length; at++) {
      const rank = ranks.get(`${result[at]} ${result[at + 1]}`);
      if (rank !== undefined && rank < best.rank) best = { rank, at };
    }
    if (best.at < 0) return result;
    result.splice(best.at, 2, result[best.at]! + result[best.at + 1]!);
  }
}

function describe(tokens: readonly string[], merges: readonly string[]): object {
  return {
    version: '1.0',
    added_tokens: [start, end].map(content => ({ id: tokens.indexOf(content), content, special: true })),
    normalizer: { type: 'Lowercase' },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: wordPattern }, behavior: 'Removed', invert: true },
        { type: 'ByteLevel', add_prefix_space: false },
      ],
    },
    post_processor: null,
    decoder: null,
    model: {
      type: 'BPE',
      unk_token: end,
      end_of_word_suffix: wordEnd,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: merges.map(merge => merge.split(' ')),
    },
  };
}
