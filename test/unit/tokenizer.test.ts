import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import { wordTokenizer } from '../../trainer/pretrain/wordTokenizer.ts';
import { cleanText } from '../../trainer/text/cleanText.ts';
import { clipTokenizer, readTokenizer } from '../../trainer/text/tokenizer.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

describe('cleaning of texts', () => {
  for (const [what, given, expected] of [
    ['UTF-8 read as windows-1252', 'schÃ¶n âœ” Ð¿Ñ€Ð¸Ð²ÐµÑ‚', 'schön ✔ привет'],
    ['UTF-8 read twice as windows-1252', 'schÃƒÂ¶n', 'schön'],
    ['not a capital before a closing quote', 'CAFÉ’S', "cafÉ's".toLowerCase()],
    ['accents that are meant', 'façade naïve Übung', 'façade naïve übung'],
    ['entities, twice', '&amp;lt;b&amp;gt; caf&eacute', '<b> café'],
    ['full-width letters', 'ＡＢＣ　１２', 'abc 12'],
    ['control characters and terminal escapes', 'a\u0000b\u001b[31mc\ufeff', 'abc'],
    ['lone surrogates', 'a\ud800b', 'a\ufffdb'],
    ['white space', ' a\r\n\t b\u00a0\u2028c ', 'a b c'],
  ] as const)
    it(`repairs or leaves ${what}`, () => {
      assert.equal(cleanText(given), expected);
    });
});

/** A `tokenizer.json` with a few words, and how many ids it has; the last two start and end a text. */
const { content, size } = wordTokenizer(['the', 'cat', ',', 'a', 'photo', '.']);
const json = content as { model: Record<string, unknown> };

describe('tokeniser', () => {
  let folder: TemporaryFolder;
  let file: string;
  beforeEach(async () => {
    folder = await temporaryFolder();
    file = folder.file('tokenizer.json');
  });
  afterEach(() => folder.remove());

  it('cuts a text that is too long and keeps its end', () => {
    assert.deepEqual([...clipTokenizer().encode('a photo of a cat', 4)], [49406, 320, 1125, 49407]);
    assert.deepEqual([...clipTokenizer().encode('a', 3)], [49406, 320, 49407]);
    assert.deepEqual([...clipTokenizer().encode('a', 5)], [49406, 320, 49407, 0, 0]);
  });

  it('refuses a text beyond all bounds', () => {
    assert.throws(() => clipTokenizer().encode('x '.repeat(20_000), 77), /40000 characters/);
  });

  it("takes the vocabulary of a model's own tokenizer.json", async () => {
    await writeFile(file, JSON.stringify(json));
    const tokenizer = await readTokenizer(file);
    assert.deepEqual([tokenizer.vocabularySize, tokenizer.endOfText], [size, size - 1]);
    const { vocab } = json.model as { vocab: Record<string, number> };
    const words = ['the</w>', 'cat</w>', ',</w>', 'a</w>', 'photo</w>', '.</w>'].map(token => vocab[token]);
    assert.deepEqual([...tokenizer.encode('The cat, a PHOTO.', 10)], [size - 2, ...words, size - 1, 0, 0]);
    // What the vocabulary cannot spell counts as the end of a text, as in Hugging Face's tokeniser.
    assert.deepEqual([...tokenizer.encode('ж', 5)].slice(0, 2), [size - 2, size - 1]);
  });

  it('refuses files that are none of a CLIP model', async () => {
    const { model } = json;
    const slow = { type: 'Split', pattern: { Regex: '(a+)+$' }, behavior: 'Removed' };
    for (const [content, message] of [
      [{}, /no tokenizer\.json/],
      [{ ...json, model: { ...model, type: 'Unigram' } }, /byte pairs/],
      [{ ...json, model: { ...model, end_of_word_suffix: null } }, /byte pairs/],
      [{ ...json, pre_tokenizer: slow }, /another rule/],
      [{ ...json, model: { ...model, vocab: null } }, /no vocabulary/],
      [{ ...json, model: { ...model, vocab: { a: -1 } } }, /token 'a' has no id/],
      [{ ...json, model: { ...model, vocab: { a: 1 } }, added_tokens: [] }, /start and the end/],
      [{ ...json, model: { ...model, merges: ['a b', 'a b c'] } }, /merge 1/],
    ] as const) {
      await writeFile(file, JSON.stringify(content));
      await assert.rejects(readTokenizer(file), (error: unknown) => {
        assert.ok(error instanceof FileError, String(error));
        assert.match(error.message, message);
        return true;
      });
    }
  });
});
