import assert from 'node:assert/strict';
import { createEngine } from '../../trainer/engines/createEngine.ts';
import { FileHashes } from '../../trainer/inspect/fileHashes.ts';
import { resolveReference } from '../../trainer/inspect/modelReference.ts';
import { ModelStore } from '../../trainer/inspect/modelStore.ts';
import { modelAt } from '../support/inspectClient.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { writeTinyModel } from '../support/trainingFixture.ts';

describe('the models of the inspector', () => {
  it('are loaded once it is known how large a tensor the card allows', async () => {
    const folder = await temporaryFolder();
    const engine = await createEngine('cpu', 1);
    const calls: string[] = [];
    const { upload } = engine;
    Object.assign(engine, {
      largestTensorBytes: async () => {
        calls.push('asked');
        return Number.POSITIVE_INFINITY;
      },
      upload: (...given: Parameters<typeof upload>) => {
        calls.push('uploaded');
        return upload.apply(engine, given);
      },
    });
    const models = new ModelStore(engine, { models: 1, bytes: 2 ** 30 });
    try {
      await writeTinyModel(folder.file('model'));
      const hashes = await FileHashes.open(folder.file('hashes.json'));
      await models.load(await resolveReference(modelAt(folder.file('model')), hashes));
      assert.equal(calls[0], 'asked');
      assert.ok(calls.includes('uploaded'));
    } finally {
      await models.dispose();
      await engine.dispose();
      await folder.remove();
    }
  });
});
