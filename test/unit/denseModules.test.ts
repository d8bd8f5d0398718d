import assert from 'node:assert/strict';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const folder = fileURLToPath(new URL('../../trainer/dense', import.meta.url));

describe('numerics that the panels share with the trainer', () => {
  for (const name of [
    'attentionRollout',
    'clusterMatching',
    'cocoMask',
    'colourMaps',
    'kMeans',
    'legend',
    'medianFilter',
    'overlay',
    'pca',
    'pcaColours',
    'similarity',
    'words',
  ])
    it(`${name} runs in a browser`, async () => {
      const { outputFiles, metafile } = await build({
        entryPoints: [path.join(folder, `${name}.ts`)],
        bundle: true,
        write: false,
        metafile: true,
        format: 'esm',
        platform: 'browser',
        logLevel: 'silent',
      });
      assert.ok(outputFiles[0]!.text.length > 0);
      const inputs = Object.keys(metafile.inputs);
      assert.deepEqual(
        inputs.filter(input => /engines|models|sharp|onnxruntime/.test(input)),
        [],
      );
    });
});
