// Bundles the three programs of the extension: the host side, the webviews and the trainer.

import { existsSync } from 'node:fs';
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
const external = ['onnxruntime-node', 'onnxruntime-common', 'sharp', 'vscode'];

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
    entryPoints: { cli: 'trainer/cli.ts', batchWorker: 'trainer/images/batchWorker.ts' },
    outdir: 'dist/trainer',
    format: 'esm',
    platform: 'node',
    external,
    // Bundled CommonJS packages call require().
    banner: {
      js: "import { createRequire as createRequireForBundle } from 'node:module'; const require = createRequireForBundle(import.meta.url);",
    },
  },
  {
    entryPoints: { training: 'webview/training/main.ts', inspector: 'webview/inspector/main.ts' },
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
