import assert from 'node:assert/strict';
import { copyFile, mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { imageFolderCandidates, isInside, modelCandidates } from '../../extension/candidates.ts';
import { MAXIMUM_IMAGE_BYTES } from '../../extension/imageBytes.ts';
import { PreviewReader, parsePreview } from '../../extension/previewReader.ts';
import {
  describeProgress,
  describeRun,
  farewell,
  formatDuration,
  statusBarText,
} from '../../extension/runPresentation.ts';
import { directoryOfState, trainingPanelHtml, unreadableRunHtml } from '../../extension/trainingPanelHtml.ts';
import { TrainingPanelModel } from '../../extension/trainingPanelModel.ts';
import type { RunSummary } from '../../trainer/protocol.ts';
import type { MessageToPanel } from '../../webview/training/protocol.ts';
import { eventRecord, stepRecord, TestRun } from '../support/runDirectories.ts';

const sampleImage = new URL('../../media/demo/images/scene-01.jpg', import.meta.url);

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'clipself-panel-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const previewOf = (image: string, step: number) => ({
  ...{ step, time: 1, image, width: 10, height: 10, rows: 1, columns: 2 },
  boxes: [[0, 0, 5, 10]],
  cosines: [0.5],
});

describe('the preview of a run', () => {
  let file: string;
  let image: string;

  beforeEach(async () => {
    file = path.join(folder, 'preview.json');
    image = path.join(folder, 'image.jpg');
    await copyFile(sampleImage, image);
  });

  const write = (content: object) => writeFile(file, JSON.stringify(content));

  it('comes with the bytes of its image, and without them while the image is the same', async () => {
    const reader = new PreviewReader(file, () => true);
    assert.equal(await reader.read(true), null);
    await write(previewOf(image, 1));
    const first = await reader.read(false);
    assert.equal(first?.imageType, 'image/jpeg');
    assert.equal(first?.imageBytes?.byteLength, (await stat(image)).size);
    assert.equal(await reader.read(false), null);
    await write(previewOf(image, 22));
    const second = await reader.read(false);
    assert.deepEqual(
      [second?.preview.step, second?.imageBytes, second?.imageProblem],
      [22, undefined, undefined],
    );
    assert.ok((await reader.read(true))?.imageBytes);
  });

  it('says why an image is not shown', async () => {
    const problemOf = async (imageFile: string, allowed = true) => {
      await write(previewOf(imageFile, 1));
      const read = await new PreviewReader(file, () => allowed).read(false);
      assert.equal(read?.imageBytes, undefined);
      return read?.imageProblem;
    };
    const huge = path.join(folder, 'huge.png');
    await writeFile(huge, '');
    await truncate(huge, MAXIMUM_IMAGE_BYTES + 1);
    assert.match((await problemOf(huge)) ?? '', /larger than 25 MiB/);
    assert.match((await problemOf(path.join(folder, 'none.png'))) ?? '', /cannot be read/);
    assert.match((await problemOf(path.join(folder, 'scan.tif'))) ?? '', /type \.tif/);
    assert.match((await problemOf(image, false)) ?? '', /Restricted Mode/);
    assert.match((await problemOf(path.join(folder, 'preview.json'))) ?? '', /type \.json/);
  });

  it('is refused when it is malformed', () => {
    const good = previewOf('/a/b.jpg', 1);
    assert.deepEqual(parsePreview(good), good);
    const wrong = [
      null,
      { ...good, image: 'relative.jpg' },
      { ...good, cosines: [] },
      { ...good, boxes: [[0, 0, 5]] },
      { ...good, boxes: [[0, 0, 5, 'x']] },
      { ...good, width: null },
      { ...good, cosines: ['0.5'] },
    ];
    for (const value of wrong) assert.equal(parsePreview(value), null, JSON.stringify(value));
  });
});

describe('the model of a training panel', () => {
  let messages: MessageToPanel[];
  let problems: (string | null)[];
  let run: TestRun;
  let model: TrainingPanelModel;

  beforeEach(async () => {
    messages = [];
    problems = [];
    run = await TestRun.create(path.join(folder, 'run'));
    run.write(eventRecord('started', 0), stepRecord(1, 0.9), stepRecord(2, 0.8));
    model = new TrainingPanelModel(run.directory, {
      post: message => messages.push(message),
      canTrain: () => true,
      mayReadImage: () => true,
      readable: problem => problems.push(problem),
      summaryChanged: () => undefined,
    });
  });

  afterEach(() => model.dispose());

  /** Waits until a message of this kind came, and takes all messages so far. */
  async function messageOf<Kind extends MessageToPanel['kind']>(kind: Kind) {
    for (;;) {
      const found = messages.find(message => message.kind === kind);
      if (found !== undefined) {
        messages = [];
        return found as Extract<MessageToPanel, { kind: Kind }>;
      }
      await new Promise(resolve => setTimeout(resolve, 10));
    }
  }

  it('posts nothing before the panel listens, then everything at once', async () => {
    await new Promise(resolve => setTimeout(resolve, 100));
    assert.deepEqual(messages, []);
    await model.ready();
    const initial = await messageOf('initial');
    assert.deepEqual(
      initial.steps.map(({ step }) => step),
      [1, 2],
    );
    assert.equal(initial.configuration?.totalSteps, 100);
    assert.deepEqual(
      [initial.events.length, initial.summary.state, initial.canTrain],
      [1, 'interrupted', true],
    );
  });

  it('posts what is appended, and everything anew after a resume', async () => {
    await model.ready();
    await messageOf('initial');
    run.write(stepRecord(3, 0.7));
    const { steps } = await messageOf('records');
    assert.deepEqual(
      steps.map(({ step }) => step),
      [3],
    );
    run.write(eventRecord('resumed', 1), stepRecord(2, 0.85));
    const initial = await messageOf('initial');
    assert.deepEqual(
      initial.steps.map(({ loss }) => loss),
      [0.9, 0.85],
    );
  });

  it('is silent while the panel is hidden and catches up when it is back', async () => {
    await model.ready();
    await messageOf('initial');
    model.hidden();
    run.write(stepRecord(3, 0.7));
    await new Promise(resolve => setTimeout(resolve, 300));
    assert.deepEqual(messages, []);
    await model.ready();
    assert.equal((await messageOf('initial')).steps.length, 3);
  });

  it('says when the run cannot be read any more', async () => {
    await model.ready();
    await run.remove();
    await model.ready();
    assert.match(problems.at(-1) ?? '', /config\.json/);
  });
});

describe('the document of a training panel', () => {
  const html = trainingPanelHtml({
    nonce: 'abc',
    cspSource: 'https://source',
    scriptUri: 'https://source/training.js',
    styleUri: 'https://source/training.css',
    directory: `/runs/"><script>alert('x')</script>&`,
  });

  it('allows nothing but its own script and style', () => {
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1] ?? '';
    assert.match(policy, /^default-src &#39;none&#39;;/);
    assert.doesNotMatch(policy, /unsafe|\*/);
    assert.match(policy, /script-src &#39;nonce-abc&#39;$/);
    assert.equal(html.match(/<script/g)?.length, 1);
    assert.match(html, /<script nonce="abc" src="https:\/\/source\/training\.js"><\/script>/);
  });

  it('carries the run directory as text', () => {
    assert.ok(
      html.includes(
        'data-run-directory="/runs/&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;"',
      ),
    );
    assert.ok(!unreadableRunHtml('<b>', '<i>').match(/<b>|<i>|<script/));
  });

  it('is restored by the directory in its state', () => {
    assert.equal(directoryOfState({ schema: 1, directory: '/runs/a', smoothing: 0.5 }), '/runs/a');
    for (const state of [undefined, null, 'text', {}, { directory: 4 }, { directory: '' }]) {
      assert.equal(directoryOfState(state), null);
    }
  });
});

describe('the words for a run', () => {
  const run: RunSummary = {
    ...{ directory: '/runs/kitchen', name: 'kitchen', state: 'running', step: 12, totalSteps: 40 },
    ...{ epoch: 1, epochs: 2, loss: 0.51234, etaSeconds: 125, message: null, updated: 0, host: 'here' },
  };

  it('say state, step, loss and time left', () => {
    assert.equal(describeRun(run), '12/40 · loss 0.5123 · 2 min left');
    assert.equal(
      describeRun({ ...run, state: 'stopped', etaSeconds: null }),
      'stopped · 12/40 · loss 0.5123',
    );
    assert.equal(describeProgress(run), 'step 12/40 · loss 0.5123 · 2 min left');
    assert.equal(statusBarText([run]), '$(sync~spin) CLIPSelf 12/40 (2 min)');
    assert.equal(statusBarText([run, run]), '$(sync~spin) CLIPSelf: 2 runs');
    assert.equal(statusBarText([]), null);
  });

  it('say what changed when it ended', () => {
    const evaluations = [0.41, 0.6, 0.72].map((cosine, epoch) => ({
      eval: { epoch, step: epoch, time: 0, 'heldOut.cosine': cosine },
    }));
    const ended = (state: RunSummary['state'], message: string | null = null) =>
      farewell({ ...run, state, message }, evaluations);
    assert.equal(
      ended('finished'),
      'CLIPSelf run “kitchen” finished. Student/teacher cosine on held-out patches: 0.410 → 0.720.',
    );
    assert.match(ended('stopped'), /stopped at step 12 of 40; it can be resumed/);
    assert.match(ended('failed', 'The loss is NaN.'), /failed at step 12 of 40: The loss is NaN\./);
    assert.match(ended('interrupted'), /died at step 12 of 40/);
    assert.doesNotMatch(farewell({ ...run, state: 'finished' }, evaluations.slice(0, 1)), /cosine/);
  });

  it('give durations as people say them', () => {
    const said = [0, 59, 60, 3599, 3600, 11_100, 200_000].map(formatDuration);
    assert.deepEqual(said, ['1 s', '59 s', '1 min', '1 h', '1 h', '3 h 5 min', '2 d 7 h']);
  });
});

describe('what is offered to train on', () => {
  it('is each model once', () => {
    const weights = ['/w/a/model.safetensors', '/w/b.safetensors'];
    assert.deepEqual(modelCandidates(weights, ['/w/a/open_clip_config.json']), [
      { path: '/w/a', kind: 'directory' },
      { path: '/w/b.safetensors', kind: 'file' },
    ]);
  });

  it('is each folder of images, the fullest first, without those that only wrap another', () => {
    const images = ['/w/data/cats/1.jpg', '/w/data/cats/2.jpg', '/w/data/dogs/1.jpg', '/elsewhere/1.jpg'];
    assert.deepEqual(imageFolderCandidates(images, ['/w']), [
      { path: '/w/data', count: 3 },
      { path: '/w/data/cats', count: 2 },
      { path: '/w/data/dogs', count: 1 },
    ]);
  });

  it('lies inside a folder or not', () => {
    assert.ok(isInside('/a/b', '/a') && isInside('/a', '/a') && isInside('/a/..b', '/a'));
    assert.ok(!isInside('/ab', '/a') && !isInside('/a/../b', '/a'));
  });
});
