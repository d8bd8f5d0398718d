import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { readImageContent } from '../../extension/inspectorImages.ts';
import { InspectorModels } from '../../extension/inspectorModels.ts';
import { InspectorPanelModel, type InspectorSurroundings } from '../../extension/inspectorPanelModel.ts';
import { InspectorError } from '../../extension/inspectorProblems.ts';
import { shortNames } from '../../trainer/compare/shortNames.ts';
import { CheckpointStore } from '../../trainer/runs/checkpointStore.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { summariseRun } from '../../trainer/runs/runSummary.ts';
import type { MessageToInspector, ResponseMessage } from '../../webview/inspector/protocol/messages.ts';
import type { FeaturesResult } from '../../webview/inspector/protocol/requests.ts';
import { stepRecord, TestRun } from '../support/runDirectories.ts';

const sampleImage = new URL('../../media/demo/images/scene-01.jpg', import.meta.url);
const otherImage = new URL('../../media/demo/images/scene-02.jpg', import.meta.url);

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'clipself-inspector-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let waited = 0; waited < 5000; waited += 20) {
    if (holds()) return;
    await sleep(20);
  }
  throw new Error(`waited in vain for ${what}`);
}

describe('an image as the inspector shows it', () => {
  it('comes as it is, a TIFF as PNG, anything else with the reason', async () => {
    const jpeg = path.join(folder, 'a.JPG');
    await copyFile(sampleImage, jpeg);
    const shown = await readImageContent(jpeg);
    assert.deepEqual([shown.type, shown.problem, shown.gone], ['image/jpeg', null, false]);

    const tiff = path.join(folder, 'a.tif');
    await sharp(jpeg).tiff().toFile(tiff);
    const converted = await readImageContent(tiff);
    assert.equal(converted.type, 'image/png');
    const { width, height } = await sharp(jpeg).metadata();
    const png = await sharp(Buffer.from(converted.bytes!)).metadata();
    assert.deepEqual([png.format, png.width, png.height], ['png', width, height]);

    const broken = path.join(folder, 'b.tif');
    await writeFile(broken, 'II*\0 and nothing else');
    assert.match((await readImageContent(broken)).problem ?? '', /^b\.tif cannot be read/);
    const missing = await readImageContent(path.join(folder, 'c.png'));
    assert.match(missing.problem ?? '', /c\.png is gone/);
    assert.equal(missing.gone, true);
    await writeFile(path.join(folder, 'd.png'), '');
    assert.match((await readImageContent(path.join(folder, 'd.png'))).problem ?? '', /d\.png is empty/);
  });

  it('has the shortest name that tells it from the others', () => {
    const files = ['/x/a/1.png', '/x/b/1.png', '/x/b/2.png', '/y/b/1.png'].map(path.normalize);
    assert.deepEqual(shortNames(files), ['a/1.png', 'x/b/1.png', '2.png', 'y/b/1.png'].map(path.normalize));
  });
});

describe('the models of the inspector', () => {
  it('are demo, recent, workspace and runs, with the checkpoints that a run has saved', async () => {
    const directory = path.join(folder, 'run-1');
    const run = await TestRun.create(directory);
    await run.takeLease();
    run.write(stepRecord(1, 0.5));
    let summary = await summariseRun(directory);
    const models = new InspectorModels({
      demoModel: '/demo',
      find: async () => [
        { path: '/w/model', kind: 'directory' },
        { path: '/demo', kind: 'directory' },
      ],
      recent: () => ['/elsewhere/m.safetensors', '/w/model'],
      runs: () => [summary],
      shorten: file => file.slice(1),
    });
    let told = 0;
    models.onDidChange(() => told++);
    await models.refresh();
    assert.deepEqual(
      models.list.models.map(({ label, group }) => [label, group]),
      [
        ['Demo model (tiny)', 'demo'],
        ['m.safetensors', 'recent'],
        ['model', 'recent'],
      ],
    );
    assert.deepEqual(models.list.runs, [
      { directory, name: 'run-1', live: true, steps: [], hasStudent: false },
    ]);

    const store = new CheckpointStore(runFiles(directory).checkpoints, 5, () => undefined);
    await mkdir(runFiles(directory).checkpoints, { recursive: true });
    for (const step of [20, 10]) {
      await store.save(step, async checkpoint =>
        writeFile(path.join(checkpoint, 'student.safetensors'), 'x'),
      );
    }
    summary = await summariseRun(directory);
    await models.refresh();
    await models.refresh();
    assert.equal(told, 2, 'told of what did not change');
    assert.deepEqual(models.list.runs[0]?.steps, [10, 20]);
    assert.deepEqual(
      models.list.models.slice(-2).map(({ source }) => source),
      [
        { kind: 'run', directory, step: 20 },
        { kind: 'original', directory },
      ],
    );
    await writeFile(runFiles(directory).student, 'x');
    await models.refresh();
    assert.deepEqual(models.list.models.at(-2)?.source, { kind: 'run', directory, step: null });

    assert.deepEqual(await models.referenceOf({ kind: 'run', directory, step: 10 }), {
      ...{ path: directory, arch: null, step: 10, blend: null },
    });
    assert.equal((await models.referenceOf({ kind: 'original', directory })).path, '/model');
    await assert.rejects(models.referenceOf({ kind: 'original', directory: '/nowhere' }), InspectorError);
    models.dispose();
    await run.remove();
  });
});

describe('the host side of an inspector panel', () => {
  let posted: MessageToInspector[];
  let requests: [string, unknown][];
  let trusted: boolean;
  let remembered: unknown;
  let image: string;
  let panel: InspectorPanelModel;
  let mapFile: string;

  const last = <Kind extends MessageToInspector['kind']>(kind: Kind) =>
    posted.findLast(
      (message): message is Extract<MessageToInspector, { kind: Kind }> => message.kind === kind,
    );

  const response = (id: number): ResponseMessage | undefined =>
    posted.find((message): message is ResponseMessage => message.kind === 'response' && message.id === id);

  const featuresOf = (id: number): FeaturesResult => {
    const result = response(id)?.result;
    assert.ok(result && typeof result === 'object' && 'milliseconds' in result && 'key' in result);
    return result;
  };

  const features = {
    ...{ image: 0, source: { kind: 'demo' as const }, size: 16, readOut: 'value' as const, layer: null },
    clusters: { k: 2, seed: 0, restarts: 4, smooth: false },
  };

  function surroundings(): InspectorSurroundings {
    const answer = async (name: string, params: unknown): Promise<unknown> => {
      requests.push([name, params]);
      if (name === 'mapFile') return { file: mapFile };
      if (name !== 'features') throw new InspectorError('memory', 'Too large.', 8);
      return {
        ...{ key: 'k', rows: 1, columns: 2, valid: { rows: 1, columns: 2 }, dimension: 4 },
        ...{ imageWidth: 1, imageHeight: 1, patchSize: 8, size: 16, cached: false },
        milliseconds: { decode: 0, forward: 0, total: 0 },
      };
    };
    const models = new InspectorModels({
      ...{
        demoModel: '/demo',
        find: async () => [],
        recent: () => [],
        runs: () => [],
        shorten: file => file,
      },
    });
    const refuse = () => Promise.reject(new Error('no dialogue is expected'));
    return {
      post: message => posted.push(message),
      isTrusted: () => trusted,
      mayReadImage: () => true,
      service: { request: answer as InspectorSurroundings['service']['request'] },
      models,
      dialogues: {
        ...{
          browseModel: refuse,
          getModel: refuse,
          loadBoxes: refuse,
          browseWords: refuse,
          save: refuse,
          saveFeatures: refuse,
          copyCommand: refuse,
        },
      },
      defaults: () => ({ size: 448, colourMap: 'viridis' }),
      remembered: () => remembered,
      remember: state => {
        remembered = state;
      },
      reportError: message => assert.fail(message),
    };
  }

  beforeEach(async () => {
    posted = [];
    requests = [];
    trusted = true;
    remembered = undefined;
    image = path.join(folder, 'image.jpg');
    mapFile = path.join(folder, 'map');
    await copyFile(sampleImage, image);
    await writeFile(mapFile, Uint16Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    panel = new InspectorPanelModel([image, path.join(folder, 'second.jpg')], { size: 96 }, surroundings());
  });

  afterEach(() => panel.dispose());

  it('says nothing before the panel listens, then everything', async () => {
    panel.receive({ kind: 'showImage', image: 0 });
    await sleep(50);
    assert.deepEqual(posted, []);
    panel.receive({ kind: 'ready', state: null });
    const initial = last('initial');
    assert.deepEqual(
      initial?.images.map(({ name }) => name),
      ['image.jpg', 'second.jpg'],
    );
    assert.deepEqual(initial?.state.columns, [{ source: null, size: 96, readOut: 'value', layer: null }]);
    await until('the demo model', () => last('models')?.models[0]?.source.kind === 'demo');
  });

  it('begins where the workspace was left, and after a reload where the panel was', () => {
    panel.receive({ kind: 'ready', state: null });
    const { state } = last('initial')!;
    const changed = { ...state, view: 'pca' as const, image: 1 };
    panel.receive({ kind: 'stateChanged', state: changed });
    assert.deepEqual(remembered, { ...changed, images: [], image: 0 });
    panel.receive({ kind: 'ready', state: changed });
    assert.deepEqual(last('initial')?.state, changed);
    panel.hidden();
    panel.show(0, { view: 'similarity', size: 64 });
    panel.receive({ kind: 'ready', state: changed });
    const shown = last('initial')!.state;
    assert.deepEqual([shown.image, shown.view, shown.columns[0]?.size], [0, 'similarity', 64]);
  });

  const valuesOf = (id: number): ArrayBuffer => {
    const result = response(id)?.result;
    assert.ok(result && typeof result === 'object' && 'data' in result && result.data instanceof ArrayBuffer);
    return result.data;
  };

  it('says what a map is like first, and sends its values whenever they are asked for', async () => {
    panel.receive({ kind: 'ready', state: null });
    panel.receive({ kind: 'request', id: 1, method: 'features', query: features });
    panel.receive({ kind: 'request', id: 2, method: 'norms', query: features });
    await until('both answers', () => response(1) !== undefined && response(2) !== undefined);
    const first = featuresOf(1);
    assert.deepEqual([first.key, first.rows, first.columns, first.dimension], ['k', 1, 2, 4]);
    assert.equal('data' in first, false, 'values do not travel before they are asked for');
    assert.deepEqual(requests[0], [
      'features',
      {
        model: { path: '/demo', arch: null, step: null, blend: null },
        ...{ image, size: 16, readOut: 'value', layer: null, clusters: features.clusters },
      },
    ]);
    assert.deepEqual(response(2)?.problem, { kind: 'memory', message: 'Too large.', suggestedSize: 8 });
    panel.receive({ kind: 'request', id: 3, method: 'mapValues', query: { key: 'k' } });
    await until('the values', () => response(3) !== undefined);
    assert.deepEqual([...new Uint16Array(valuesOf(3))], [1, 2, 3, 4, 5, 6, 7, 8]);
    panel.receive({ kind: 'request', id: 4, method: 'mapValues', query: { key: 'other' } });
    await until('the answer', () => response(4) !== undefined);
    assert.equal(response(4)?.problem?.kind, 'unknownKey');
    // Another document of the panel holds nothing of this one.
    panel.receive({ kind: 'ready', state: null });
    panel.receive({ kind: 'request', id: 5, method: 'mapValues', query: { key: 'k' } });
    await until('the values', () => response(5) !== undefined);
    assert.equal(valuesOf(5).byteLength, 16);
  });

  it('sends values again after an answer that crossed its cancellation', async () => {
    panel.receive({ kind: 'ready', state: null });
    panel.receive({ kind: 'request', id: 1, method: 'features', query: features });
    await until('the answer', () => response(1) !== undefined);
    panel.receive({ kind: 'request', id: 2, method: 'mapValues', query: { key: 'k' } });
    await until('the values', () => response(2) !== undefined);
    panel.receive({ kind: 'cancel', id: 2 });
    panel.receive({ kind: 'request', id: 3, method: 'mapValues', query: { key: 'k' } });
    await until('the values', () => response(3) !== undefined);
    assert.equal(valuesOf(3).byteLength, 16);
  });

  it('follows the image in view', async () => {
    panel.receive({ kind: 'ready', state: null });
    panel.receive({ kind: 'showImage', image: 0 });
    await until('the image', () => last('image')?.bytes != null);
    assert.equal(last('image')?.changed, false);
    await copyFile(otherImage, image);
    await until('the new content', () => last('image')?.changed === true && last('image')?.bytes != null);
    await rm(image);
    await until('the loss', () => last('image')?.gone === true);
    assert.match(last('image')?.problem ?? '', /image\.jpg is gone/);
    await copyFile(sampleImage, image);
    await until('the return', () => last('image')?.bytes != null);
  }).timeout(20_000);

  it('computes nothing in a workspace that is not trusted, and says so', async () => {
    trusted = false;
    panel.receive({ kind: 'ready', state: null });
    assert.equal(last('initial')?.trusted, false);
    panel.receive({ kind: 'request', id: 1, method: 'features', query: features });
    await until('the answer', () => response(1) !== undefined);
    assert.equal(response(1)?.problem?.kind, 'trust');
    assert.deepEqual(requests, []);
    trusted = true;
    panel.trustChanged();
    assert.equal(last('trust')?.trusted, true);
  });
});
