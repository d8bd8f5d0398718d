import assert from 'node:assert/strict';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import type { EvaluationDialogues, MarkedRegion } from '../../extension/evaluationHandlers.ts';
import { EvaluationPanelModel } from '../../extension/evaluationPanelModel.ts';
import type { ShownReports } from '../../extension/evaluationState.ts';
import { regionsFileOf, runReportPath } from '../../trainer/evaluate/protocol.ts';
import { defaultState } from '../../webview/evaluation/panelState.ts';
import type {
  EvaluationMethod,
  MessageToEvaluation,
  QueryOf,
  RequestMessage,
  ResponseMessage,
} from '../../webview/evaluation/protocol.ts';
import {
  type Evaluation,
  makeEvaluation,
  numberedClasses,
  writeEvaluation,
} from '../support/evaluationReports.ts';
import { TestRun } from '../support/runDirectories.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

type MessageOf<Kind extends MessageToEvaluation['kind']> = Extract<MessageToEvaluation, { kind: Kind }>;

describe('what an evaluation panel is told', () => {
  let folder: TemporaryFolder;
  let run: TestRun;
  let model: EvaluationPanelModel | null = null;
  let messages: MessageToEvaluation[] = [];
  let mayRead = true;
  let inspected: MarkedRegion[] = [];
  let saved: string[] = [];
  let nextId = 1;
  const evaluations = new Map<number, Evaluation>();

  const report = (epoch: number): string => path.join(run.directory, runReportPath(epoch));

  async function evaluate(epoch: number): Promise<void> {
    const made = makeEvaluation({
      ...{ seed: 4, classes: numberedClasses(8), regions: 120, imageFolder: folder.file('images') },
      images: [
        { name: 'a.jpg', width: 64, height: 48 },
        { name: 'gone.jpg', width: 64, height: 48 },
      ],
      skill: { rois: 0.3 + 0.1 * epoch, maskpool: 0.4, crops: 0.7 },
      ...{ run: run.directory, epoch },
    });
    evaluations.set(epoch, made);
    await writeEvaluation(report(epoch), made);
    run.write({
      eval: { epoch, step: epoch, time: 1, 'rois.thing.macc1': made.report.numbers['rois.thing.macc1']! },
    });
  }

  before(async () => {
    folder = await temporaryFolder();
    run = await TestRun.create(folder.file('runs/first'));
    await mkdir(folder.file('images'));
    const image = sharp({ create: { width: 64, height: 48, channels: 3, background: '#808080' } });
    await image.jpeg().toFile(folder.file('images/a.jpg'));
    for (const epoch of [0, 1]) await evaluate(epoch);
  });

  afterEach(() => {
    model?.dispose();
    model = null;
    messages = [];
    mayRead = true;
    inspected = [];
    saved = [];
  });

  after(() => folder.remove());

  const dialogues: EvaluationDialogues = {
    browseReport: async () => null,
    browseSegmentation: async () => null,
    browseImages: async () => folder.path,
    save: async ({ name }) => name,
    copy: async text => void saved.push(text),
    openText: async file => void saved.push(file),
    openImage: async file => void saved.push(file),
    inspect: async region => {
      inspected.push(region);
      return false;
    },
  };

  function open(shown: Partial<ShownReports>): EvaluationPanelModel {
    model = new EvaluationPanelModel(
      { before: null, after: null, segmentation: null, imageFolder: null, ...shown },
      {
        post: message => messages.push(message),
        mayReadImage: () => mayRead,
        runs: () => [{ directory: run.directory, name: 'first' }],
        dialogues,
        titleChanged: () => undefined,
        reportError: message => assert.fail(message),
      },
    );
    return model;
  }

  /** The run, before training against the latest. */
  const openRun = (): EvaluationPanelModel =>
    open({
      before: { kind: 'file', path: report(0) },
      after: { kind: 'latest', run: run.directory },
    });

  async function until<Result>(what: string, look: () => Result | null | undefined | false): Promise<Result> {
    const deadline = Date.now() + 10_000;
    while (Date.now() < deadline) {
      const found = look();
      if (found) return found;
      await sleep(20);
    }
    throw new Error(`waited in vain for ${what}`);
  }

  const last = <Kind extends MessageToEvaluation['kind']>(kind: Kind): MessageOf<Kind> | undefined =>
    messages.findLast((message): message is MessageOf<Kind> => message.kind === kind);

  const reportOf = (side: 'before' | 'after') =>
    messages.findLast(
      (message): message is MessageOf<'report'> => message.kind === 'report' && message.side === side,
    );

  async function ask<Method extends EvaluationMethod>(
    method: Method,
    query: QueryOf<Method>,
  ): Promise<ResponseMessage> {
    const id = nextId++;
    model!.receive({ kind: 'request', id, method, query } as RequestMessage);
    return until(`the answer to ${method}`, () =>
      messages.find(
        (message): message is ResponseMessage => message.kind === 'response' && message.id === id,
      ),
    );
  }

  async function ready(): Promise<void> {
    model!.receive({ kind: 'ready', state: null });
    await until('both reports', () => reportOf('after') && reportOf('before'));
  }

  it('is everything once it listens, and nothing before or while it is hidden', async () => {
    const opened = openRun();
    assert.equal(await opened.reportInView(), report(1));
    assert.equal(messages.length, 0);
    await ready();
    assert.equal(messages[0]!.kind, 'initial');
    const { choices, state } = last('initial')!;
    assert.deepEqual(
      choices.map(({ label }) => label),
      ['latest (epoch 1) · first', 'before training · first', 'epoch 1 · first'],
    );
    assert.deepEqual(state, {
      ...defaultState(),
      before: { kind: 'file', path: report(0) },
      after: { kind: 'latest', run: run.directory },
    });
    assert.equal(reportOf('after')!.path, report(1));
    const { confusions } = reportOf('before')!.report!.readings.rois!;
    assert.equal(
      new Uint32Array(confusions).length,
      3 * evaluations.get(0)!.report.readings.rois!.confusions.length,
    );
    const numbers = await until('the numbers of the run', () => last('runNumbers'));
    assert.deepEqual(
      numbers.runs[0]!.epochs.map(({ epoch }) => epoch),
      [0, 1],
    );
    opened.hidden();
    messages = [];
    await opened.reportInView();
    assert.deepEqual(messages, []);
  });

  it('is the next evaluation of the run when it is there', async () => {
    openRun();
    await ready();
    await evaluate(2);
    await until('the next report', () => reportOf('after')?.path === report(2));
    await until('the choices', () => last('choices')?.choices[0]?.label === 'latest (epoch 2) · first');
    await until('the numbers', () => last('runNumbers')?.runs[0]?.epochs.length === 3);
    assert.equal(
      messages.filter(message => message.kind === 'report' && message.side === 'before').length,
      1,
    );
    await rm(path.dirname(report(2)), { recursive: true });
  });

  it('is the reports that the user picked since', async () => {
    openRun();
    await ready();
    const after = { kind: 'file' as const, path: report(0) };
    model!.receive({ kind: 'stateChanged', state: { ...defaultState(), before: null, after } });
    await until('the other report', () => reportOf('after')?.path === report(0));
    await until('nothing to compare with', () => reportOf('before')!.report === null);
    assert.equal(reportOf('before')!.problem, null);
  });

  const regions = { reading: 'rois' as const, truth: 1, named: null, outcome: 'all' as const, offset: 0 };

  it('are regions with how the other side names them', async () => {
    openRun();
    await ready();
    const { result, problem } = await ask('regions', { ...regions, side: 'after', count: 5 });
    assert.equal(problem, null);
    const expected = evaluations
      .get(1)!
      .regions.flatMap((region, place) =>
        region.class === 1 ? [{ ...region, place, other: evaluations.get(0)!.regions[place]!.readings }] : [],
      );
    assert.deepEqual(result, { total: expected.length, regions: expected.slice(0, 5) });
    const next = await ask('regions', { ...regions, side: 'after', offset: 5, count: 5 });
    assert.deepEqual((next.result as { regions: unknown }).regions, expected.slice(5, 10));
  });

  it('is a picture of a region, or why there is none', async () => {
    openRun();
    await ready();
    const placeOf = (image: string) =>
      evaluations.get(1)!.regions.findIndex(region => region.image === image);
    const query = { side: 'after' as const, place: placeOf('a.jpg') };
    const { result } = await ask('thumbnail', query);
    const picture = result as { bytes: ArrayBuffer; width: number };
    assert.equal((await sharp(Buffer.from(picture.bytes)).metadata()).width, picture.width);
    const gone = await ask('thumbnail', { side: 'after', place: placeOf('gone.jpg') });
    assert.equal(gone.problem?.kind, 'images');
    mayRead = false;
    assert.equal((await ask('picture', query)).problem?.kind, 'trust');
    assert.equal((await ask('thumbnail', { side: 'after', place: 1e6 })).problem?.kind, 'regions');
  });

  it('comes from the folder where the images are now', async () => {
    openRun();
    await ready();
    await rename(folder.file('images'), folder.file('moved'));
    const query = { side: 'after' as const, place: 0 };
    assert.equal((await ask('thumbnail', query)).problem?.kind, 'images');
    const shown = { before: null, after: { kind: 'latest' as const, run: run.directory } };
    model!.receive({
      kind: 'stateChanged',
      state: { ...defaultState(), ...shown, imageFolder: folder.file('moved') },
    });
    assert.equal((await ask('thumbnail', query)).problem, null);
    await rename(folder.file('moved'), folder.file('images'));
  });

  it('is that a region opens in the inspector, or that it has to be shown in the panel', async () => {
    openRun();
    await ready();
    const { result } = await ask('openRegion', { side: 'after', place: 0 });
    const [region] = evaluations.get(1)!.regions;
    assert.equal(result, 'picture');
    assert.deepEqual(
      inspected.map(({ image, box, label }) => ({ image, box, label })),
      [
        {
          image: folder.file('images/a.jpg'),
          box: region!.box,
          label: numberedClasses(8)[region!.class]!.name,
        },
      ],
    );
    await ask('openImage', { side: 'after', place: 0 });
    await ask('openReport', { side: 'before' });
    await ask('copy', { text: 'row' });
    assert.deepEqual(saved, [folder.file('images/a.jpg'), report(0), 'row']);
  });

  it('is what is wrong with a report', async () => {
    const problemWith = async (name: string, content: string | null) => {
      const file = folder.file(`${name}.json`);
      if (content !== null) await writeFile(file, content);
      open({ after: { kind: 'file', path: file } });
      await ready();
      const { problem } = reportOf('after')!;
      model!.dispose();
      messages = [];
      return problem;
    };
    assert.equal((await problemWith('gone', null))?.kind, 'gone');
    assert.equal((await problemWith('torn', '{"schema": 1, '))?.kind, 'unreadable');
    const later = JSON.stringify({ ...evaluations.get(0)!.report, schema: 2 });
    const schema = await problemWith('later', later);
    assert.equal(schema?.kind, 'schema');
    assert.match(schema.message, /later\.json: it has schema 2, and this version reads 1/);
    open({ after: { kind: 'latest', run: folder.file('runs/empty') } });
    await ready();
    assert.equal(reportOf('after')!.problem?.kind, 'none');
  });

  it('is that the regions are missing, and that they are there again', async () => {
    openRun();
    await ready();
    const file = regionsFileOf(report(1));
    await rename(file, `${file}.away`);
    const query = { ...regions, side: 'after' as const, count: 5 };
    const { problem } = await ask('regions', query);
    assert.equal(problem?.kind, 'regions');
    assert.ok(problem.message.startsWith(file), problem.message);
    await rename(`${file}.away`, file);
    assert.equal((await ask('regions', query)).problem, null);
  });
});
