import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import { meanDirections } from '../../trainer/text/ensemble.ts';
import {
  cleanName,
  defaultPrompts,
  plainPrompts,
  promptsFor,
  readPrompts,
} from '../../trainer/text/prompts.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const set = (...templates: string[]) => ({ name: 'test', templates });

describe('prompts', () => {
  let folder: TemporaryFolder;
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => folder.remove());

  it('clean the names of classes', () => {
    for (const [name, expected] of [
      ['dining_table', 'dining table'],
      ['sofa/couch', 'sofa or couch'],
      ['Ice Cream.', 'ice cream'],
      ['etc...', 'etc'],
    ] as const)
      assert.equal(cleanName(name), expected);
  });

  it('take the article of the name as the list has it', () => {
    const article = (name: string) => promptsFor(name, set('see {article} {}'))[0];
    assert.equal(article('umbrella'), 'see an umbrella');
    assert.equal(article('hour glass'), 'see a hour glass');
    assert.equal(article('Ice Cream.'), 'see a ice cream');
  });

  it('that begin with an article become sentences', () => {
    const templates = set('a photo of {article} {}.', 'the {}.', '{article} {}.', 'one {}.', '{}');
    assert.deepEqual(promptsFor('airplane', templates), [
      'This is a photo of an airplane.',
      'This is the airplane.',
      'This is an airplane.',
      'one airplane.',
      'airplane',
    ]);
    assert.deepEqual(promptsFor('a red door', plainPrompts), ['a red door']);
  });

  it('put names in as they are, whatever characters they have', () => {
    assert.deepEqual(promptsFor('$& {article} {}', set('one {}')), ['one $& {article} {}']);
  });

  it('of our own are different sentences with a name in each', () => {
    const { templates } = defaultPrompts;
    assert.equal(new Set(templates).size, templates.length);
    assert.ok(templates.length >= 20 && templates.length <= 60);
    for (const template of templates) assert.equal(template.split('{}').length, 2, template);
  });

  it('are read from text and from JSON', async () => {
    await writeFile(folder.file('p.txt'), '\uFEFFa {}\r\n\n  the {} \n');
    assert.deepEqual((await readPrompts(folder.file('p.txt'))).templates, ['a {}', 'the {}']);
    await writeFile(folder.file('p.json'), '["a {}"]');
    assert.deepEqual((await readPrompts(folder.file('p.json'))).templates, ['a {}']);
  });

  it('that are none are refused', async () => {
    for (const [name, content, message] of [
      ['p.txt', '', /holds 0 sentences/],
      ['p.txt', 'a {}\n'.repeat(1001), /holds 1001 sentences/],
      ['p.txt', 'a cat', /'a cat' has no \{\}/],
      ['p.txt', `{}${'x'.repeat(2000)}`, /2002 characters/],
      ['p.json', '{"a": 1}', /no array of sentences/],
      ['p.json', '[1]', /no array of sentences/],
    ] as const) {
      await writeFile(folder.file(name), content);
      await assert.rejects(readPrompts(folder.file(name)), (error: unknown) => {
        assert.ok(error instanceof FileError, String(error));
        assert.match(error.message, message);
        return true;
      });
    }
  });

  it('are averaged as directions, not as they are', () => {
    const means = meanDirections(Float32Array.of(10, 0, 0, 1, 0, -2), [2, 1], 2);
    [Math.SQRT1_2, Math.SQRT1_2, 0, -1].forEach((value, index) => {
      assert.ok(Math.abs(means[index]! - value) < 1e-7);
    });
    assert.deepEqual([...meanDirections(Float32Array.of(1, 0, -1, 0), [2], 2)], [0, 0]);
  });
});
