// Bundles the three programs of the extension: the host side, the webviews and the trainer.

import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const production = process.argv.includes('--production');
const common = {
  bundle: true,
  sourcemap: !production,
  minify: production,
  logLevel: 'warning',
  target: 'node20',
};

/** Native or large packages stay in node_modules: they cannot be bundled. */
const external = ['onnxruntime-node', 'onnxruntime-common', 'sharp', 'koffi', 'vscode'];

/** Of the 262,146 lines of the vocabulary's file CLIP uses the first fifth: the rest stays out of the bundle. */
const usedVocabulary = {
  name: 'used vocabulary',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]bpe_simple_vocab_16e6\.js$/ }, async ({ path }) => {
      const { default: vocabulary } = await import(pathToFileURL(path).href);
      const text = vocabulary.text
        .split('\n')
        .slice(0, 49152 - 256 - 2 + 1)
        .join('\n');
      return { contents: `export default ${JSON.stringify({ text })};` };
    });
  },
};

const bundles = [
  // VS Code loads extensions as CommonJS.
  {
    entryPoints: ['extension/extension.ts'],
    outfile: 'dist/extension/extension.cjs',
    format: 'cjs',
    platform: 'node',
    external,
  },
  {
    entryPoints: {
      cli: 'trainer/cli.ts',
      batchWorker: 'trainer/images/batchWorker.ts',
      mpiWorker: 'trainer/distributed/mpiWorker.ts',
      regionWorker: 'trainer/evaluate/regionWorker.ts',
      wholeImageWorker: 'trainer/evaluate/wholeImageWorker.ts',
      pairWorker: 'trainer/pretrain/pairWorker.ts',
    },
    outdir: 'dist/trainer',
    format: 'esm',
    platform: 'node',
    external,
    plugins: [usedVocabulary],
    // Bundled CommonJS packages call require().
    banner: {
      js: "import { createRequire as createRequireForBundle } from 'node:module'; const require = createRequireForBundle(import.meta.url);",
    },
  },
  {
    entryPoints: {
      training: 'webview/training/main.ts',
      inspector: 'webview/inspector/main.ts',
      evaluation: 'webview/evaluation/main.ts',
      comparison: 'webview/comparison/main.ts',
    },
    outdir: 'dist/webview',
    format: 'iife',
    platform: 'browser',
    target: 'chrome120',
  },
];

const entries = bundle =>
  Array.isArray(bundle.entryPoints) ? bundle.entryPoints : Object.values(bundle.entryPoints);
await Promise.all(
  bundles.filter(bundle => entries(bundle).every(existsSync)).map(bundle => build({ ...common, ...bundle })),
);
