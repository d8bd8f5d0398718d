/** A `tokenizer.json` for text towers with few tokens: the letters, at the end of a word and inside, and some merges. */

const letters = [...'abcdefghijklmnopqrstuvwxyz'];

/** Ids 0 … 61; the text's start and end are 60 and 61. */
export function tinyTokenizerJson(): Record<string, unknown> {
  const tokens = [
    ...letters,
    ...letters.map(letter => `${letter}</w>`),
    ...['.</w>', ',</w>', 'ca', 'cat</w>', 'th', 'the</w>', 'ph', 'pho'],
    ...['<|startoftext|>', '<|endoftext|>'],
  ];
  return {
    added_tokens: tokens.slice(-2).map((content, index) => ({ id: tokens.length - 2 + index, content })),
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
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
      ],
    },
    model: {
      type: 'BPE',
      end_of_word_suffix: '</w>',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: ['c a', ['ca', 't</w>'], 't h', 'th e</w>', 'p h', 'ph o'],
    },
  };
}
