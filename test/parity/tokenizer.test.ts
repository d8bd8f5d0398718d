import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { clipTokenizer } from '../../trainer/text/tokenizer.ts';
import { fixturePath } from '../support/goldenTensors.ts';

const golden = JSON.parse(readFileSync(fixturePath('text/tokenizer.json'), 'utf8')) as {
  text: string;
  ids: number[];
}[];

describe('CLIP tokeniser', () => {
  it('is compared on twenty texts', () => {
    assert.equal(golden.length, 20);
  });
  for (const { text, ids } of golden)
    it(`gives the ids of the published one for ${JSON.stringify(text.slice(0, 40))}`, () => {
      assert.deepEqual([...clipTokenizer().encode(text, 77)], ids);
    });
});
