import assert from 'node:assert/strict';
import { InspectorHost, problemOf } from '../../webview/inspector/host.ts';
import { modelOptions, runOfSource, sourceName } from '../../webview/inspector/modelOptions.ts';
import { defaultState, restoreInspectorState } from '../../webview/inspector/panelState.ts';
import type { MessageFromInspector } from '../../webview/inspector/protocol/messages.ts';
import type { ModelChoice, RunSteps } from '../../webview/inspector/protocol/models.ts';
import type { InspectorState } from '../../webview/inspector/protocol/state.ts';
import { PanelRequestError } from '../../webview/panelHost.ts';

/** The host's end of the conversation, as VS Code's own object behaves: messages are kept, state is stored. */
function openHost(): {
  host: InspectorHost;
  posted: MessageFromInspector[];
  stored: () => InspectorState | undefined;
} {
  const posted: MessageFromInspector[] = [];
  let stored: InspectorState | undefined;
  const host = new InspectorHost({
    postMessage: message => posted.push(message),
    getState: () => stored,
    setState: state => {
      stored = state;
      return state;
    },
  });
  return { host, posted, stored: () => stored };
}

describe('inspector requests', () => {
  it('resolves with the answer that carries its id, whatever the order', async () => {
    const { host, posted } = openHost();
    const first = host.request('copyCommand', { view: 'pca', query: query() });
    const second = host.request('browseModel', null);
    assert.deepEqual(
      posted.map(message => (message.kind === 'request' ? [message.id, message.method] : [])),
      [
        [1, 'copyCommand'],
        [2, 'browseModel'],
      ],
    );
    host.receiveResponse({ kind: 'response', id: 2, result: null, problem: null });
    host.receiveResponse({ kind: 'response', id: 1, result: 'clipself pca', problem: null });
    assert.equal(await first, 'clipself pca');
    assert.equal(await second, null);
  });

  it('rejects with the problem, and forwards progress before', async () => {
    const { host } = openHost();
    const stages: (string | number | null)[] = [];
    const answer = host.request(
      'describe',
      { source: { kind: 'demo' } },
      {
        progress: (stage, fraction) => stages.push(stage, fraction),
      },
    );
    host.receiveProgress({ kind: 'progress', id: 1, stage: 'loading model', fraction: 0.5 });
    const problem = { kind: 'memory' as const, message: 'Too large.', suggestedSize: 224 };
    host.receiveResponse({ kind: 'response', id: 1, result: null, problem });
    await assert.rejects(answer, (error: unknown) => {
      assert.ok(error instanceof PanelRequestError);
      assert.deepEqual(problemOf(error), problem);
      return true;
    });
    assert.deepEqual(stages, ['loading model', 0.5]);
    assert.deepEqual(problemOf(new Error('broken')), { kind: 'other', message: 'broken' });
  });

  it('tells the host once when a request is given up, and ignores its late answer', async () => {
    const { host, posted } = openHost();
    const abort = new AbortController();
    const answer = host.request('norms', query(), { signal: abort.signal });
    abort.abort();
    await assert.rejects(answer, (error: unknown) => problemOf(error).kind === 'cancelled');
    assert.deepEqual(posted.at(-1), { kind: 'cancel', id: 1 });
    host.receiveResponse({ kind: 'response', id: 1, result: null, problem: null });
    await assert.rejects(host.request('norms', query(), { signal: abort.signal }));
    assert.equal(posted.length, 2);
  });

  it('stores each change at once and repeats the last of many to the host', async () => {
    const { host, posted, stored } = openHost();
    for (const opacity of [0.1, 0.2, 0.3]) host.remember({ ...defaultState(), opacity });
    assert.equal(stored()?.opacity, 0.3);
    assert.equal(posted.length, 0);
    await new Promise(resolve => setTimeout(resolve, 400));
    assert.deepEqual(
      posted.map(message => message.kind === 'stateChanged' && message.state.opacity),
      [0.3],
    );
  });
});

describe('inspector state', () => {
  it('comes back as it was stored', () => {
    const state: InspectorState = {
      ...defaultState(),
      images: ['/a.png', '/b.png'],
      image: 1,
      view: 'similarity',
      columns: [
        { source: { kind: 'run', directory: '/runs/a', step: 200 }, size: 448, readOut: 'keyKey', layer: 11 },
        { source: { kind: 'file', path: '/m.safetensors' }, size: 224, readOut: 'value', layer: null },
        { source: { kind: 'original', directory: '/runs/a' }, size: 224, readOut: 'tokens', layer: null },
        { source: null, size: 336, readOut: 'value', layer: null },
      ],
      difference: true,
      synced: false,
      kMeans: { k: 12, seed: 3, restarts: 2, smooth: true },
      pca: { components: [3, 4, 5] },
      patches: { rows: 2, columns: 6, tokens: false },
      attention: { layer: 5, head: 7 },
      words: {
        ...{ list: ['sky', 'a red car'], prompts: 'plain', temperature: 0.1 },
        ...{ shown: 'sky', embeddings: '/words.npy' },
      },
    };
    assert.deepEqual(restoreInspectorState(JSON.parse(JSON.stringify(state))), state);
  });

  it('becomes the default where it is of another version, malformed or out of range', () => {
    for (const stored of [undefined, null, 7, 'x', [], { schema: 2, view: 'pca' }])
      assert.deepEqual(restoreInspectorState(stored), defaultState());
    const wild = restoreInspectorState({
      schema: 1,
      images: [1, '/a.png'],
      image: 9,
      view: 'sounds',
      opacity: 3,
      columns: Array.from({ length: 9 }, () => ({
        source: { kind: 'file', path: 5 },
        size: -3,
        readOut: 'x',
        layer: 0.5,
      })),
      kMeans: { k: 500, smooth: 'yes' },
      pca: { components: [0, 1] },
      attention: { layer: -1, head: 'all' },
      words: { list: [' ', 7], prompts: 'loud', temperature: -1, shown: 3, embeddings: 4 },
    });
    const { columns, ...rest } = wild;
    const { columns: usual, ...defaults } = defaultState();
    assert.deepEqual(rest, { ...defaults, images: ['/a.png'] });
    assert.deepEqual(
      columns,
      Array.from({ length: 4 }, () => usual[0]),
    );
  });
});

describe('inspector models', () => {
  const choices: ModelChoice[] = [
    { source: { kind: 'demo' }, label: 'Demo model', detail: '', group: 'demo' },
    {
      source: { kind: 'run', directory: '/runs/a', step: null },
      label: 'a, student',
      detail: '',
      group: 'run',
    },
  ];
  const runs: RunSteps[] = [
    { directory: '/runs/a', name: 'a', live: true, steps: [10, 20], hasStudent: false },
  ];

  it('lists the source in force even when it was not found', () => {
    const missing = { kind: 'file' as const, path: '/models/gone.safetensors' };
    assert.deepEqual(
      modelOptions(choices, missing).map(({ label }) => label),
      ['Demo model', 'a, student', 'gone.safetensors'],
    );
    assert.equal(modelOptions(choices, { kind: 'demo' }).length, 2);
  });

  it('names saved steps and finds their run', () => {
    const step = { kind: 'run' as const, directory: '/runs/a', step: 20 };
    assert.equal(sourceName(step, choices), 'a, step 20');
    assert.equal(sourceName({ ...step, step: null }, choices), 'a, student');
    assert.equal(runOfSource(runs, step), runs[0]);
    assert.equal(runOfSource(runs, { ...step, directory: '/runs/b' }), null);
    assert.equal(runOfSource(runs, { kind: 'demo' }), null);
  });
});

function query(): { image: number; source: { kind: 'demo' }; size: number; readOut: 'value'; layer: null } {
  return { image: 0, source: { kind: 'demo' }, size: 224, readOut: 'value', layer: null };
}
