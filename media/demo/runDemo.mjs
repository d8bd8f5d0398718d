// `npm run demo`: fine-tunes the shipped tiny CLIP on the shipped scenes and checks that it learned.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A run directory that no earlier demo took. */
function freshRun() {
  for (let number = 1; ; number++) {
    const directory = path.join(root, 'runs', number === 1 ? 'demo' : `demo-${number}`);
    if (!existsSync(directory)) return directory;
  }
}

const directory = freshRun();
const args = [
  path.join(root, 'dist/trainer/cli.js'),
  'train',
  ...['--model', path.join(root, 'media/demo/model')],
  ...['--images', path.join(root, 'media/demo/images')],
  ...['--out', directory],
  ...'--size 128 --batch 2 --epochs 4 --lr 5e-4 --warmup 10 --hold-out 6 --json'.split(' '),
];

console.error('Fine-tuning a tiny random CLIP with CLIPSelf on 32 sample scenes: a minute or less.');
const child = spawn(process.execPath, args, { stdio: ['inherit', 'pipe', 'inherit'] });
let output = '';
child.stdout.setEncoding('utf8').on('data', text => {
  output += text;
});
// The trainer hears Ctrl-C itself and saves before it ends.
process.on('SIGINT', () => {});
child.on('close', status => {
  if (status !== 0) process.exit(status ?? 1);
  const { state, step, before, after } = JSON.parse(output);
  console.log(`\n${state} after ${step} steps`);
  if (state !== 'finished') return;
  console.log(
    'mean cosine between the dense features of held-out patches and the embeddings of their crops:',
  );
  console.log(`  before  ${before.toFixed(4)}\n  after   ${after.toFixed(4)}`);
  console.log(
    `run directory: ${directory}\nfine-tuned model: ${path.join(directory, 'student.safetensors')}`,
  );
  if (!(after > before)) {
    console.error('the cosine did not rise: something is wrong');
    process.exit(1);
  }
});
