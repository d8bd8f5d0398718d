import assert from 'node:assert/strict';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runsOfArguments } from '../../extension/compareRequest.ts';
import type { ComparisonDialogues } from '../../extension/comparisonHandlers.ts';
import { ComparisonPanelModel } from '../../extension/comparisonPanelModel.ts';
import { newComparison, parseComparisonState } from '../../extension/comparisonState.ts';
import type { InspectorService } from '../../extension/inspectorService.ts';
import { latexTable } from '../../trainer/compare/comparisonTables.ts';
import { runLooks } from '../../webview/comparison/looks.ts';
import type { MessageToComparison } from '../../webview/comparison/protocol.ts';
import { inLooks, RunData } from '../../webview/comparison/runData.ts';
import { stepRecord, TestRun } from '../support/runDirectories.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('waited in vain');
    await sleep(20);
  }
}

describe('what a comparison is asked for', () => {
  const at = (name: string): string => path.resolve('/runs', name);

  it('is the selection, or the entry under the pointer where it is not selected', () => {
    const runs = ['a', 'b'].map(name => ({ directory: at(name) }));
    assert.deepEqual(runsOfArguments(runs[0], runs), [at('a'), at('b')]);
    assert.deepEqual(runsOfArguments({ directory: at('c') }, runs), [at('c')]);
    assert.deepEqual(runsOfArguments([at('a'), at('b'), at('a')], undefined), [at('a'), at('b')]);
    assert.deepEqual(runsOfArguments(undefined, undefined), []);
    const many = Array.from({ length: 7 }, (_, index) => at(String(index)));
    assert.throws(() => runsOfArguments(many, undefined), /At most 6 runs/);
  });

  it('is restored from a stored state of the known form alone', () => {
    const state = newComparison([at('a'), at('b')]);
    assert.deepEqual(parseComparisonState(JSON.parse(JSON.stringify(state))), state);
    assert.equal(parseComparisonState(null), null);
    assert.equal(parseComparisonState({ ...state, schema: 2 }), null);
    assert.equal(parseComparisonState({ ...state, runs: [{ directory: 'relative', look: 0 }] }), null);
    const repaired = parseComparisonState({
      ...state,
      runs: [...state.runs, { directory: at('c'), look: 0 }, { directory: at('c'), look: 3 }, 5],
      base: at('z'),
      axis: 'furlongs',
      smoothing: 2,
      hidden: [at('z'), at('b')],
      kMeans: { image: 'relative.png', k: 99 },
    });
    assert.deepEqual(repaired, {
      ...state,
      runs: [...state.runs, { directory: at('c'), look: 2 }],
      hidden: [at('b')],
    });
  });
});

describe('looks of runs', () => {
  const luminance = (colour: string): number => {
    const [red, green, blue] = [1, 3, 5].map(start => {
      const value = Number.parseInt(colour.slice(start, start + 2), 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
  };
  const contrast = (a: string, b: string): number => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high! + 0.05) / (low! + 0.05);
  };

  it('stand out from the ground of dark, light and high-contrast themes', () => {
    for (const { name, dark, light } of runLooks) {
      for (const ground of ['#000000', '#1f1f1f', '#252526'])
        assert.ok(contrast(dark, ground) >= 3, `${name} on ${ground}: ${contrast(dark, ground)}`);
      for (const ground of ['#ffffff', '#f3f3f3'])
        assert.ok(contrast(light, ground) >= 3, `${name} on ${ground}: ${contrast(light, ground)}`);
    }
  });

  it('differ in colour, dash and marker', () => {
    for (const part of ['dark', 'light', 'dash', 'marker'] as const)
      assert.equal(new Set(runLooks.map(look => String(look[part]))).size, runLooks.length, part);
  });
});

describe('curves of the panel', () => {
  it('are laid over the axis that is chosen and smoothed over steps', () => {
    const data = new RunData();
    const step = (at: number, loss: number) => ({
      ...{ step: at, epoch: at / 4, seconds: at * 900, loss, lr: 1, gradNorm: null, imagesPerSecond: 1 },
    });
    data.take({
      kind: 'curves',
      directory: '/a',
      replace: true,
      steps: [step(1, 1), step(2, 3)],
      evaluations: [],
    });
    data.take({ kind: 'curves', directory: '/a', replace: false, steps: [step(3, 5)], evaluations: [] });
    assert.deepEqual(data.stepPoints('loss', 'step', 0, 100), [
      { x: 1, y: 1 },
      { x: 2, y: 3 },
      { x: 3, y: 5 },
    ]);
    assert.deepEqual(
      data.stepPoints('loss', 'seconds', 0, 100).map(({ x }) => x),
      [0.25, 0.5, 0.75],
    );
    assert.ok(Number.isNaN(data.stepPoints('gradNorm', 'epoch', 0, 100)[0]!.y));
    const [, smoothed] = data.stepPoints('loss', 'epoch', 0.5, 100);
    assert.ok(Math.abs(smoothed!.y - (0.25 * 1 + 0.5 * 3) / 0.75) < 1e-12);
    assert.deepEqual(
      inLooks([{ look: 2, name: 'a', points: [] }], 3).map(({ name }) => name),
      ['', '', 'a'],
    );
  });
});

describe('the host of a comparison', () => {
  let folder: TemporaryFolder;
  let runs: TestRun[];
  let posted: MessageToComparison[];
  let model: ComparisonPanelModel;
  let copied: string;

  beforeEach(async () => {
    folder = await temporaryFolder();
    runs = await Promise.all(['a', 'b'].map(name => TestRun.create(folder.file(name))));
    for (const run of runs) run.write(stepRecord(1, 0.5), stepRecord(2, 0.4));
    posted = [];
    copied = '';
    const unasked = (): never => assert.fail('nothing of the kind was asked for');
    const dialogues: ComparisonDialogues = {
      ...{ pickRuns: unasked, browseImage: unasked, openRun: unasked, inspectorSize: () => 64 },
      savePath: async (_, kind) => folder.file(`saved.${kind}`),
      write: (file, bytes) => writeFile(file, new Uint8Array(bytes)),
      copy: async text => {
        copied = text;
      },
    };
    const service: Pick<InspectorService, 'request'> = { request: unasked };
    model = new ComparisonPanelModel(newComparison(runs.map(({ directory }) => directory)), {
      ...{ service, dialogues, isTrusted: () => false, mayReadImage: () => true },
      post: message => posted.push(message),
      titleChanged: () => undefined,
      reportError: message => assert.fail(message),
    });
  });
  afterEach(async () => {
    model.dispose();
    for (const run of runs) await run.remove().catch(() => undefined);
    await folder.remove();
  });

  const of = <Kind extends MessageToComparison['kind']>(kind: Kind) =>
    posted.filter(
      (message): message is Extract<MessageToComparison, { kind: Kind }> => message.kind === kind,
    );

  it('sends everything once, then what is appended', async () => {
    model.receive({ kind: 'ready', state: null });
    await until(() => of('comparison').length === 1);
    assert.equal(posted[0]!.kind, 'initial');
    assert.deepEqual(
      of('curves').map(({ replace, steps }) => [replace, steps.length]),
      [
        [true, 2],
        [true, 2],
      ],
    );
    runs[1]!.write(stepRecord(3, 0.3));
    await until(() => of('curves').length === 3);
    const { directory, replace, steps } = of('curves')[2]!;
    assert.deepEqual([directory, replace], [runs[1]!.directory, false]);
    assert.deepEqual(
      steps.map(({ step, loss }) => [step, loss]),
      [[3, 0.3]],
    );
  });

  it('sends a run anew when a resume threw steps away', async () => {
    model.receive({ kind: 'ready', state: null });
    await until(() => of('curves').length === 2);
    runs[0]!.write({ event: { kind: 'resumed', step: 1, time: Date.now() } }, stepRecord(2, 0.1));
    // A look may fall between the two records: what counts is what the panel has in the end.
    const lossesOfPanel = (): number[] => {
      const data = new RunData();
      for (const message of of('curves')) if (message.directory === runs[0]!.directory) data.take(message);
      return data.stepPoints('loss', 'step', 0, 100).map(({ y }) => y);
    };
    await until(() => lossesOfPanel().join() === '0.5,0.1');
    assert.equal(of('curves')[2]!.replace, true);
  });

  it('says of a run that it is gone, and shows it again when it is back', async () => {
    model.receive({ kind: 'ready', state: null });
    await until(() => of('comparison').length === 1);
    await rename(folder.file('a'), folder.file('away'));
    await until(() => of('comparison').at(-1)!.comparison.runs[0]!.problem !== null);
    assert.equal(of('comparison').at(-1)!.comparison.runs[1]!.problem, null);
    assert.deepEqual(of('curves').at(-1)!.steps, []);
    await rename(folder.file('away'), folder.file('a'));
    await until(() => of('comparison').at(-1)!.comparison.runs[0]!.problem === null);
    assert.equal(of('curves').at(-1)!.steps.length, 2);
  });

  it('keeps a run that was added while the panel was hidden', async () => {
    const state = newComparison(runs.map(({ directory }) => directory));
    model.receive({ kind: 'ready', state });
    await until(() => of('comparison').length === 1);
    model.hidden();
    model.add([folder.file('c')]);
    model.receive({ kind: 'ready', state });
    await until(() => of('comparison').at(-1)!.comparison.runs.length === 3);
    assert.equal(of('initial').at(-1)!.state.runs.length, 3);
  });

  it('answers requests for tables, and refuses K-Means where it may run nothing', async () => {
    model.receive({ kind: 'ready', state: null });
    await until(() => of('comparison').length === 1);
    model.receive({ kind: 'request', id: 1, method: 'copyLatex', query: null });
    model.receive({ kind: 'request', id: 2, method: 'saveCsv', query: null });
    model.receive({ kind: 'request', id: 3, method: 'kMeans', query: { image: '/i.png', k: 4 } });
    await until(() => of('response').length === 3);
    assert.equal(copied, latexTable(await model.comparison()));
    const answers = new Map(of('response').map(message => [message.id, message]));
    assert.deepEqual(answers.get(2)!.result, [folder.file('saved.csv'), folder.file('saved.summary.csv')]);
    assert.equal(answers.get(3)!.problem?.kind, 'trust');
  });
});
