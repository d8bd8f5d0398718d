import assert from 'node:assert/strict';
import type { RunConfiguration, RunState, RunSummary } from '../../trainer/protocol.ts';
import {
  formatChange,
  formatCosine,
  formatCount,
  formatDuration,
  formatMemory,
  formatMetric,
  formatName,
  formatScientific,
  formatSignificant,
  formatTick,
} from '../../webview/format.ts';
import { configurationSections } from '../../webview/training/configurationRows.ts';
import { restoreState } from '../../webview/training/panelState.ts';
import { isPossible, noticeOf, progressOf } from '../../webview/training/runStates.ts';

describe('numbers in panels', () => {
  it('prints losses with four decimals, tiny ones with four digits', () => {
    assert.deepEqual([0.12345, 1, 0, 0.00012345, null, Number.NaN].map(formatMetric), [
      '0.1235',
      '1.0000',
      '0.0000',
      '1.234e-4',
      '–',
      '–',
    ]);
  });

  it('prints cosines with four decimals, whatever their size', () => {
    assert.deepEqual([0.31962, -0.000639, -0.00001, -1, null].map(formatCosine), [
      '0.3196',
      '−0.0006',
      '0.0000',
      '−1.0000',
      '–',
    ]);
  });

  it('prints learning rates in scientific notation', () => {
    assert.equal(formatScientific(1e-5), '1.00e-5');
    assert.equal(formatScientific(9.876e-6), '9.88e-6');
  });

  it('prints rates and norms with three significant digits', () => {
    assert.deepEqual(
      [0.01234, 4.567, 78.91, 1234.5, 12e-6, Number.POSITIVE_INFINITY].map(formatSignificant),
      ['0.0123', '4.57', '78.9', '1,235', '1.20e-5', '–'],
    );
  });

  it('gives all ticks of an axis the decimals that their distance needs', () => {
    assert.deepEqual(
      [0, 0.25, 0.5].map(value => formatTick(value, 0.25)),
      ['0.00', '0.25', '0.50'],
    );
    assert.deepEqual(
      [0.1, 0.2, 0.30000000000000004].map(value => formatTick(value, 0.1)),
      ['0.1', '0.2', '0.3'],
    );
    assert.deepEqual(
      [0, 500, 1000].map(value => formatTick(value, 500)),
      ['0', '500', '1,000'],
    );
    assert.equal(formatTick(0.5), '0.5');
    assert.equal(formatTick(2e6), '2e+6');
  });

  it('prints memory, counts, changes and names', () => {
    assert.deepEqual([512.4, 1024, 2355].map(formatMemory), ['512 MiB', '1.00 GiB', '2.30 GiB']);
    assert.equal(formatCount(149620737), '149,620,737');
    assert.deepEqual([0.3142, -0.0013].map(formatChange), ['+0.3142', '−0.0013']);
    assert.equal(formatName('heldOut.cosine'), 'Held out · cosine');
  });

  it('prints durations in two units', () => {
    assert.deepEqual([0, 45.4, 59.7, 200, 7500, 100 * 3600, null, -1].map(formatDuration), [
      '0 s',
      '45 s',
      '1 min 00 s',
      '3 min 20 s',
      '2 h 05 min',
      '4 d 4 h',
      '–',
      '–',
    ]);
  });
});

describe('states of a run in the training panel', () => {
  const summary = (state: RunState, message: string | null = null): RunSummary => ({
    directory: '/runs/a',
    name: 'a',
    state,
    step: 5,
    totalSteps: 20,
    epoch: 1,
    epochs: 2,
    loss: 0.5,
    etaSeconds: null,
    message,
    updated: 0,
    host: null,
  });

  it('offers stop to a live run and resume to one that ended early', () => {
    const states: RunState[] = ['starting', 'running', 'stopped', 'finished', 'failed', 'interrupted'];
    assert.deepEqual(
      states.filter(state => isPossible('stop', state, true)),
      ['starting', 'running'],
    );
    assert.deepEqual(
      states.filter(state => isPossible('resume', state, true)),
      ['stopped', 'failed', 'interrupted'],
    );
  });

  it('never offers resume in a workspace that is not trusted, and says why', () => {
    assert.equal(isPossible('resume', 'interrupted', false), false);
    assert.match(noticeOf(summary('interrupted'), false)!.detail, /Trust this workspace/);
    assert.match(noticeOf(summary('interrupted'), true)!.detail, /Resume continues/);
  });

  it('shows the reason of a failure and nothing for a run that does well', () => {
    assert.equal(noticeOf(summary('failed', 'the disk is full'), true)!.detail, 'the disk is full');
    assert.equal(noticeOf(summary('running'), true), null);
  });

  it('knows the share that is done, also before the number of steps is known', () => {
    assert.equal(progressOf(summary('running')), 0.25);
    assert.equal(progressOf({ ...summary('starting'), totalSteps: 0 }), 0);
  });
});

describe('stored state of the training panel', () => {
  it('keeps what is valid and replaces what is not', () => {
    const stored = { schema: 1, directory: '/old', smoothing: 1.5, logScale: true, showTable: 'yes' };
    assert.deepEqual(restoreState(stored, '/new'), {
      schema: 1,
      directory: '/new',
      smoothing: 0.6,
      logScale: true,
      showTable: false,
      showConfiguration: false,
    });
    assert.equal(restoreState(stored, '').directory, '/old');
  });

  it('starts afresh from another version or from nothing', () => {
    assert.equal(restoreState({ schema: 2, smoothing: 0.1 }, '/run').smoothing, 0.6);
    assert.equal(restoreState(undefined, '/run').directory, '/run');
  });
});

describe('configuration in the training panel', () => {
  const configuration: RunConfiguration = {
    schema: 1,
    settings: {
      model: '/m',
      arch: null,
      images: '/i',
      method: 'clipself',
      regions: 'grid',
      boxes: null,
      embeddings: null,
      prompts: null,
      multiscale: null,
      trainRatio: 1,
      accumulate: 1,
      ranks: 1,
      exchange: 'average',
      compareWeightsEvery: 100,
      cosineWeight: 1,
      teacherCacheMib: 0,
      retention: 0,
      size: 1024,
      maxSplit: 6,
      maxBoxes: 20,
      cropScale: 1,
      batch: 2,
      epochs: 6,
      learningRate: 1e-5,
      weightDecay: 0.1,
      warmup: 1000,
      beta1: 0.9,
      beta2: 0.98,
      epsilon: 1e-6,
      unlockedBlocks: 12,
      blend: 0.7,
      seed: 0,
      holdOut: 8,
      evaluatePanoptic: null,
      evaluateImages: null,
      evaluateMasks: null,
      evaluateEmbeddings: null,
      evaluateLimit: 0,
      checkpointEvery: 200,
      keepCheckpoints: 2,
      engine: 'onnx-cpu',
      precision: 'fp32',
      threads: 0,
      memoryBudgetGib: 4,
    },
    regionsHash: null,
    modelHash: 'ab12',
    parameters: { total: 100, trainable: 80 },
    totalSteps: 3000,
    stepsPerEpoch: 500,
    imageCount: { found: 10, training: 8, heldOut: 2 },
    versions: { clipself: '0.1.0', node: '20.20.0', engine: 'onnxruntime-node 1.30.0' },
    created: '2024-05-01T11:07:09Z',
  };

  it('lists every setting once, readable', () => {
    const rows = configurationSections(configuration).flatMap(section => section.rows);
    for (const key of Object.keys(configuration.settings)) {
      assert.equal(rows.filter(row => row.key === key).length, 1, key);
    }
    const value = (key: string): string => rows.find(row => row.key === key)!.value;
    assert.equal(value('learningRate'), '1.00e-5');
    assert.equal(value('weightDecay'), '0.1');
    assert.equal(value('size'), '1024 px');
    assert.equal(value('arch'), 'from the model');
    assert.equal(value('threads'), 'chosen by the engine');
    assert.equal(new Set(rows.map(row => row.key)).size, rows.length);
  });

  it('lists settings of a later version too', () => {
    const settings = { ...configuration.settings, mixPrecision: true };
    const rows = configurationSections({ ...configuration, settings }).flatMap(section => section.rows);
    assert.deepEqual(
      rows.find(row => row.key === 'mixPrecision'),
      { key: 'mixPrecision', label: 'Mix precision', value: 'true' },
    );
  });
});
