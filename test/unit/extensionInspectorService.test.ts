import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { problemOf } from '../../extension/inspectorProblems.ts';
import { InspectorService } from '../../extension/inspectorService.ts';
import type { InspectProgress, ModelReference } from '../../trainer/inspect/protocol.ts';
import { identifyProcess } from '../../trainer/runs/processIdentity.ts';

const jsonrpc = createRequire(import.meta.url).resolve('vscode-jsonrpc/node');
const model: ModelReference = { path: '/model', arch: null, step: null, blend: null };

let folder: string;
let service: InspectorService;
let lines: string[];

/** A process that speaks the service's protocol and behaves as the code says. */
async function serviceThat(code: string): Promise<void> {
  const script = path.join(folder, 'service.cjs');
  const preamble = `
    const rpc = require(${JSON.stringify(jsonrpc)});
    const fs = require('node:fs');
    const starts = __dirname + '/starts';
    fs.appendFileSync(starts, 'x');
    const started = fs.readFileSync(starts, 'utf8').length;
    const connection = rpc.createMessageConnection(process.stdin, process.stdout);
    process.stdin.on('close', () => process.exit(0));\n`;
  await writeFile(script, `${preamble}${code}\nconnection.listen();`);
  service = new InspectorService({
    executable: process.execPath,
    script,
    args: () => ['inspect-service', '--cache', folder],
    log: (level, line) => lines.push(`${level} ${line}`),
  });
}

const startCount = async (): Promise<number> => (await readFile(path.join(folder, 'starts'), 'utf8')).length;

async function problemWith(work: Promise<unknown>) {
  return work.then(
    () => assert.fail('it was answered'),
    (error: unknown) => problemOf(error),
  );
}

describe('the inspector service as the extension sees it', () => {
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'clipself-inspector-'));
    lines = [];
  });

  afterEach(async () => {
    service.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  it('starts when first asked and answers with progress on the way', async () => {
    await serviceThat(`
      connection.onRequest('inspect/describe', params => {
        connection.sendNotification('inspect/progress', { id: params.id, stage: 'loading model', fraction: 0.5 });
        console.error('a word for the log');
        return { name: params.model.path };
      });`);
    assert.equal(service.pid, null);
    const stages: InspectProgress[] = [];
    const progress = (told: InspectProgress) => stages.push(told);
    const described = await service.request('describe', { model }, { progress });
    assert.equal(described.name, '/model');
    assert.deepEqual(
      stages.map(({ stage, fraction }) => [stage, fraction]),
      [['loading model', 0.5]],
    );
    await service.request('describe', { model });
    assert.equal(await startCount(), 1);
    assert.ok(lines.includes('info [inspector] a word for the log'), lines.join('\n'));
  });

  it('passes cancellation and refusals on as what they are', async () => {
    await serviceThat(`
      connection.onRequest('inspect/describe', (params, token) => new Promise((resolve, reject) => {
        token.onCancellationRequested(() => reject(new rpc.ResponseError(-32800, 'given up')));
      }));
      connection.onRequest('inspect/norms', () => {
        throw new rpc.ResponseError(-31007, 'Too large.', { suggestedSize: 224 });
      });`);
    const abort = new AbortController();
    const waiting = problemWith(service.request('describe', { model }, { signal: abort.signal }));
    await sleep(300);
    abort.abort();
    assert.equal((await waiting).kind, 'cancelled');
    const norms = { model, image: '/i.png', size: 448, readOut: 'value' as const, layer: null };
    assert.deepEqual(await problemWith(service.request('norms', norms)), {
      kind: 'memory',
      message: 'Too large.',
      suggestedSize: 224,
    });
    assert.equal(await startCount(), 1);
  });

  it('starts once more after a crash and sends the request again', async () => {
    await serviceThat(`
      connection.onRequest('inspect/describe', () => {
        if (started === 1) process.kill(process.pid, 'SIGKILL');
        return { name: 'second' };
      });`);
    assert.equal((await service.request('describe', { model })).name, 'second');
    assert.equal(await startCount(), 2);
    assert.match(
      lines.join('\n'),
      /warn The inspector service was ended by SIGKILL\. It is started once more\./,
    );
  });

  it('gives up after the second crash with the last words, and tries anew when asked again', async () => {
    await serviceThat(`
      connection.onRequest('inspect/describe', () => {
        if (started > 2) return { name: 'third' };
        console.error('clipself: the disk is on fire');
        process.exit(1);
      });`);
    const problem = await problemWith(service.request('describe', { model }));
    assert.equal(problem.kind, 'service');
    assert.match(problem.message, /ended with status 1 \(the disk is on fire\)\. This was the second time/);
    assert.equal((await service.request('describe', { model })).name, 'third');
  });

  it('starts another after one that ended idle', async () => {
    await serviceThat(`
      connection.onRequest('inspect/describe', () => {
        setTimeout(() => process.exit(0), 50);
        return { name: String(started) };
      });`);
    assert.equal((await service.request('describe', { model })).name, '1');
    while (service.pid !== null) await sleep(20);
    assert.equal((await service.request('describe', { model })).name, '2');
  });

  it('says when it cannot be started', async () => {
    service = new InspectorService({
      executable: path.join(folder, 'no-such-program'),
      script: path.join(folder, 'service.cjs'),
      args: () => [],
      log: () => undefined,
    });
    const problem = await problemWith(service.request('describe', { model }));
    assert.equal(problem.kind, 'service');
    assert.match(problem.message, /could not be started: .*ENOENT/);
  });

  it('is ended with the extension, also in the middle of a request', async () => {
    await serviceThat(`
      process.on('SIGTERM', () => undefined);
      connection.onRequest('inspect/describe', () => new Promise(() => undefined));`);
    const waiting = problemWith(service.request('describe', { model }));
    await sleep(300);
    const { pid } = service;
    assert.ok(pid);
    service.dispose();
    assert.equal((await waiting).kind, 'cancelled');
    while ((await identifyProcess(pid)) !== null) await sleep(20);
  }).timeout(10_000);

  it('gives way to training', async () => {
    await serviceThat(`connection.onRequest('inspect/describe', () => ({ name: 'x' }));`);
    service.yieldToTraining(true);
    await service.request('describe', { model });
    assert.equal(os.getPriority(service.pid!), os.constants.priority.PRIORITY_LOW);
  });
});
