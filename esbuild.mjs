// Bundles the three programs of the extension: the host side, the webviews and the trainer.
//
//     node esbuild.mjs [--production] [--out dist] [--metafile FILE]
//
// The metafile says what went into each bundle, in esbuild's own form.

import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';

const { values } = parseArgs({
  options: {
    production: { type: 'boolean', default: false },
    out: { type: 'string', default: 'dist' },
    metafile: { type: 'string' },
  },
});
const { production, out, metafile } = values;
const common = {
  bundle: true,
  sourcemap: !production,
  minify: production,
  logLevel: 'warning',
  target: 'node20',
  metafile: metafile !== undefined,
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
    outfile: join(out, 'extension/extension.cjs'),
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
      proposalWorker: 'trainer/propose/proposalWorker.ts',
      pairWorker: 'trainer/pretrain/pairWorker.ts',
    },
    outdir: join(out, 'trainer'),
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
    outdir: join(out, 'webview'),
    format: 'iife',
    platform: 'browser',
    target: 'chrome120',
  },
];

const entries = bundle =>
  Array.isArray(bundle.entryPoints) ? bundle.entryPoints : Object.values(bundle.entryPoints);
const results = await Promise.all(
  bundles.filter(bundle => entries(bundle).every(existsSync)).map(bundle => build({ ...common, ...bundle })),
);

if (metafile !== undefined) {
  const merge = part => Object.assign({}, ...results.map(result => result.metafile[part]));
  await writeFile(metafile, JSON.stringify({ inputs: merge('inputs'), outputs: merge('outputs') }));
}
