/** A vocabulary of 256 tokens for the demo model: characters, and whole words of what the sample scenes show. */

const characters = [...'abcdefghijklmnopqrstuvwxyz0123456789.,-\'"'];

/** Words that become one token each, as far as there is room, and what they are spelt with on the way. */
const words = [
  ...['a', 'an', 'the', 'of', 'in', 'is', 'this', 'photo', 'picture', 'with', 'or'],
  ...[
    'cat',
    'dog',
    'bird',
    'car',
    'boat',
    'tree',
    'house',
    'person',
    'flower',
    'cup',
    'apple',
    'sky',
    'sea',
    'grass',
  ],
];

const start = '<|startoftext|>';
const end = '<|endoftext|>';

/** Content of a `tokenizer.json` with the ids 0 … size − 1; the last two are the start and the end of a text. */
export function demoTokenizer(size: number): Record<string, unknown> {
  const tokens = [...characters, ...characters.map(character => `${character}</w>`)];
  const merges: [string, string][] = [];
  for (const word of words) {
    let left = word[0]!;
    for (let index = 1; index < word.length; index++) {
      const right = index === word.length - 1 ? `${word[index]!}</w>` : word[index]!;
      if (!tokens.includes(left + right)) {
        if (tokens.length === size - 2) break;
        tokens.push(left + right);
        merges.push([left, right]);
      }
      left += right;
    }
  }
  while (tokens.length < size - 2) tokens.push(`unused ${tokens.length}`);
  tokens.push(start, end);
  return {
    version: '1.0',
    added_tokens: [start, end].map((content, index) => ({ id: size - 2 + index, content, special: true })),
    normalizer: { type: 'Lowercase' },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        {
          type: 'Split',
          pattern: { Regex: "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+" },
          behavior: 'Removed',
          invert: true,
        },
        { type: 'ByteLevel', add_prefix_space: false },
      ],
    },
    post_processor: null,
    decoder: null,
    model: {
      type: 'BPE',
      unk_token: end,
      end_of_word_suffix: '</w>',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}
