import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { skipBecause } from '../support/skip.ts';
import { gpuEnvironment } from '../support/softwareGpu.ts';
import { tinyBatch } from '../support/tinyDistiller.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** The card must be there when a process starts, so each of these runs in one of its own. */
describe('the WebGPU engine, on a card or SwiftShader', () => {
  let environment: NodeJS.ProcessEnv;

  before(function () {
    const found = gpuEnvironment();
    if (typeof found === 'string') skipBecause(this, found);
    environment = found;
  });

  const runNode = (args: readonly string[]): Promise<{ stdout: string; stderr: string }> =>
    run(process.execPath, ['--import=tsx', ...args], {
      cwd: repository,
      env: environment,
      maxBuffer: 1 << 26,
    });

  /** Fails with mocha's own report when a test fails there; returns how many passed. */
  async function mocha(...args: string[]): Promise<number> {
    const program = 'node_modules/mocha/bin/mocha.js';
    const report = await runNode([program, '--timeout=120000', '--reporter=json', ...args]).then(
      ({ stdout }) => stdout,
      (error: { stdout: string; message: string }) => error.stdout || assert.fail(error.message),
    );
    const { stats, failures } = JSON.parse(report.slice(report.indexOf('{\n'))) as {
      stats: { passes: number };
      failures: { fullTitle: string; err: { message?: string } }[];
    };
    const failed = failures.map(({ fullTitle, err }) => `${fullTitle}: ${err.message}`);
    assert.equal(failures.length, 0, failed.join('\n'));
    return stats.passes;
  }

  it('gives the values and gradients of every graph operation', async function () {
    this.timeout(180_000);
    assert.ok((await mocha('test/unit/graph*.test.ts')) > 300);
  });

  it('takes, gives, refuses and runs out of memory as it should', async function () {
    this.timeout(120_000);
    assert.ok((await mocha('test/webgpu/*.test.ts')) >= 5);
  });

  it("gives the published code's gradients, loss and weights", async function () {
    this.timeout(240_000);
    const which =
      'openai_vit, ONNX Runtime, activations kept.*5 steps|openclip_vit, ONNX Runtime, activations recomputed.*gradient of every';
    assert.equal(await mocha('test/parity/clipself.test.ts', '--grep', which), 2);
  });

  it('trains in half precision where the card has it', async function () {
    this.timeout(120_000);
    const passed = await mocha('test/unit/mixedPrecision.test.ts');
    assert.ok(passed === 0 || passed === 5, `${passed} passed`);
  });

  it('runs every node of a training step on the card, and moves no weights over the host', async function () {
    this.timeout(180_000);
    const { stdout, stderr } = await runNode(['test/webgpu/step.ts']);
    const placed = stderr.match(/All nodes placed on \[(\w+)\]/g) ?? [];
    assert.ok(placed.length >= 15, `${placed.length} programs`);
    assert.deepEqual([...new Set(placed)], ['All nodes placed on [WebGpuExecutionProvider]']);
    assert.equal(stderr.match(/Node placements/g)?.length, placed.length);
    assert.doesNotMatch(stderr, /Memcpy nodes are added/);

    const { transfers, live } = JSON.parse(stdout) as { transfers: object; live: object };
    const batch = tinyBatch();
    const boxes = 6;
    const pixels = batch.images.byteLength + batch.crops.byteLength;
    // Pooling, the weights of the loss and where crops belong; AdamW's four scalars and the loss's own gradient.
    const others = batch.pooling.byteLength + 4 * (boxes + boxes) + 4 * 5;
    assert.deepEqual(transfers, {
      uploads: 2 + 3 + 5,
      uploadedBytes: pixels + others,
      // The loss, the cosines of the boxes, the norm of the gradient.
      downloads: 3,
      downloadedBytes: 4 * (1 + boxes + 1),
    });
    assert.deepEqual(live, { tensors: 0, bytes: 0 });
  });
});
