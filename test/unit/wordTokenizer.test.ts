import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { wordsOf, wordTokenizer } from '../../trainer/pretrain/wordTokenizer.ts';
import { longestSentence, worldWords } from '../../trainer/pretrain/worldWords.ts';
import { readTokenizer, Tokenizer } from '../../trainer/text/tokenizer.ts';
import { parseVocabulary } from '../../trainer/text/vocabulary.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';

const open = (words: readonly string[]) => {
  const { content, size } = wordTokenizer(words);
  return { size, tokenizer: new Tokenizer(parseVocabulary(content, 'tokenizer.json')) };
};

/** Tokens between the start and the end of a text. */
const inner = (tokenizer: Tokenizer, text: string): number[] => {
  const ids = [...tokenizer.encode(text, 77)];
  return ids.slice(1, ids.indexOf(tokenizer.endOfText));
};

describe('a tokeniser of words', () => {
  it('has one token for each word, whatever the words share', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd'), minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.uniqueArray(word, { minLength: 1, maxLength: 25 }), words => {
        const { tokenizer } = open(words);
        const ids = words.map(name => inner(tokenizer, name));
        assert.ok(ids.every(tokens => tokens.length === 1));
        assert.equal(new Set(ids.flat()).size, words.length);
      }),
      { numRuns: 60 },
    );
  });

  it('spells other words, and keeps the ids of words when others follow', () => {
    const few = open(['cat', 'scarf']);
    assert.equal(inner(few.tokenizer, 'dog').length, 3);
    assert.equal(inner(few.tokenizer, 'A cat, Cat!').length, 5);
    const more = open(['cat', 'scarf', 'arc', 'cart']);
    assert.deepEqual(inner(more.tokenizer, 'scarf'), inner(few.tokenizer, 'scarf'));
  });

  it('ends texts with its highest id', () => {
    const { tokenizer, size } = open(['cat']);
    assert.equal(tokenizer.endOfText, size - 1);
    assert.equal(tokenizer.vocabularySize, size);
  });

  it('parts sentences into words as CLIP does', () => {
    assert.deepEqual(wordsOf(["Somebody's cat.", 'a cat 12']), ['somebody', "'s", 'cat', '.', 'a', '1', '2']);
  });
});

describe('the words of Emoji World', () => {
  it('fit the context, a word a token, and read the same from the file of a model', async () => {
    const words = worldWords(longestSentence);
    const folder = await temporaryFolder();
    try {
      await writeFile(folder.file('tokenizer.json'), JSON.stringify(words.tokenizer));
      const tokenizer = await readTokenizer(folder.file('tokenizer.json'));
      let longest = 0;
      for (const [label, sentences] of words.prompts.entries())
        for (const [prompt, sentence] of sentences.entries()) {
          const ids = words.tokens(label, prompt);
          assert.deepEqual(ids, tokenizer.encode(sentence, longestSentence));
          const length = ids.indexOf(tokenizer.endOfText) + 1;
          longest = Math.max(longest, length);
          assert.equal(length - 2, inner(tokenizer, sentence).length, `'${sentence}' is cut`);
          assert.equal(length - 2, wordsIn(sentence), `'${sentence}' is spelt`);
        }
      assert.equal(longest, longestSentence);
    } finally {
      await folder.remove();
    }
  });
});

const wordsIn = (sentence: string): number =>
  [...sentence.matchAll(/'s|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+/gu)].length;
