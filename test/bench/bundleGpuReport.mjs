// Bundles gpuReport.ts and its programs into dist/bench, which with onnxruntime-node, onnxruntime-common and sharp is all it needs.
import { copyFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));
const outdir = `${root}dist/bench`;
await build({
  entryPoints: ['gpuReport', 'adapter', 'agreement', 'bench'].map(name => `${root}test/bench/${name}.ts`),
  outdir,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  logLevel: 'warning',
  external: ['onnxruntime-node', 'onnxruntime-common', 'sharp'],
  banner: {
    js: "import { createRequire as createRequireForBundle } from 'node:module'; const require = createRequireForBundle(import.meta.url);",
  },
});
await copyFile(`${root}test/bench/torch_step.py`, `${outdir}/torch_step.py`);
