import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { writeNpy } from '../../trainer/checkpoints/npyFile.ts';
import { proposeCommand } from '../../trainer/commands/propose.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { readRunConfiguration } from '../../trainer/runs/runConfiguration.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { printed } from '../support/printed.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  type Ended,
  runTrainer,
  startTrainer,
  tinyArchitecture,
  tinyCommand,
  waitForSteps,
  weightsOfRun,
  writeTinyImages,
  writeTinyModel,
} from '../support/trainingFixture.ts';

describe('training on boxes of a file', function () {
  this.timeout(120_000);
  const imageCount = 9;
  let folder: TemporaryFolder;

  const imageName = (index: number): string => `image-${String(index).padStart(2, '0')}.png`;
  const command = (run: string, ...more: string[]): string[] => [
    ...tinyCommand(folder.file('model'), folder.file('images'), folder.file(run)),
    ...['--epochs', '3', '--checkpoint-every', '3', '--hold-out', '1', ...more],
  ];

  /** COCO-style annotations: six labelled boxes of each of the first images. */
  function annotations(images: number): object {
    const random = keyedRandom(8, 'boxes');
    return {
      images: Array.from({ length: images }, (_, index) => ({ id: 10 + index, file_name: imageName(index) })),
      annotations: Array.from({ length: images * 6 }, (_, index) => ({
        id: index + 1,
        image_id: 10 + Math.floor(index / 6),
        category_id: [3, 7, 12][random.uint(3)],
        bbox: [random.float() * 10, random.float() * 10, 12 + random.float() * 15, 12 + random.float() * 15],
      })),
      categories: [
        { id: 12, name: 'dog' },
        { id: 3, name: 'cat' },
        { id: 7, name: 'tree' },
      ],
    };
  }

  async function succeed(args: readonly string[]): Promise<Ended> {
    const ended = await runTrainer(args);
    assert.equal(ended.status, 0, ended.stderr);
    return ended;
  }

  /** Kills a run after some steps and resumes it. */
  async function interrupt(args: readonly string[], directory: string): Promise<void> {
    const trainer = startTrainer(args);
    assert.ok(await waitForSteps(trainer, directory, 4), 'the trainer ended before it could be killed');
    trainer.child.kill('SIGKILL');
    await trainer.ended;
    await succeed(['--resume', directory]);
  }

  async function assertSameWeights(run: string, other: string): Promise<void> {
    const [found, expected] = [await weightsOfRun(folder.file(run)), await weightsOfRun(folder.file(other))];
    assert.deepEqual([...found.keys()], [...expected.keys()]);
    for (const [name, content] of expected)
      assert.ok(found.get(name)!.equals(content), `${name} has other bits`);
  }

  const losses = async (run: string): Promise<number[]> =>
    (await readMetricHistory(runFiles(folder.file(run)).metrics)).steps.map(({ loss }) => loss);

  /** Crops that travel with others may differ in the last bits. */
  async function assertNearLosses(run: string, other: string): Promise<void> {
    const [found, expected] = [await losses(run), await losses(other)];
    assert.equal(found.length, expected.length);
    found.forEach((loss, step) => {
      assert.ok(Math.abs(loss - expected[step]!) < 1e-4, `step ${step}: ${loss}, expected ${expected[step]}`);
    });
  }

  before(async () => {
    folder = await temporaryFolder();
    await buildTrainer();
    await writeTinyModel(folder.file('model'));
    await writeTinyImages(folder.file('images'), imageCount);
    await writeFile(folder.file('labelled.json'), JSON.stringify(annotations(7)));
    const random = keyedRandom(8, 'nouns');
    const shape = [3, tinyArchitecture.embeddingDimension] as const;
    const data = Float32Array.from({ length: shape[0] * shape[1] }, () => random.float() - 0.5);
    await writeNpy(folder.file('nouns.npy'), { shape, data });
  });
  after(() => folder.remove());

  it('trains on what clipself propose writes, and resumes to the same bits', async () => {
    const proposals = folder.file('proposals.json');
    await printed(() => proposeCommand(['--images', folder.file('images'), '--out', proposals]));
    const options = ['--regions', 'proposals', '--boxes', proposals];
    await succeed(command('proposals', ...options));
    const { settings, regionsHash } = await readRunConfiguration(
      runFiles(folder.file('proposals')).configuration,
    );
    assert.equal(settings.cropScale, 1.5);
    assert.equal(settings.boxes, proposals);
    assert.match(regionsHash!, /^[0-9a-f]{64}$/);
    await interrupt(command('proposals-killed', ...options), folder.file('proposals-killed'));
    await assertSameWeights('proposals-killed', 'proposals');
    const preview = JSON.parse(await readFile(runFiles(folder.file('proposals')).preview, 'utf8')) as {
      rows: number;
      boxes: number[][];
    };
    assert.equal(preview.rows, 0);
    assert.ok(preview.boxes.length > 0);
  });

  it('keeps the teacher’s embeddings of boxes: the same bits with any memory, and after a kill', async () => {
    const boxes = folder.file('labelled.json');
    // A step is two passes, each with the crops of its own.
    const options = ['--regions', 'proposals', '--boxes', boxes, '--max-boxes', '4', '--accumulate', '2'];
    await succeed(command('anew', ...options));
    const { stderr } = await succeed(command('kept', ...options, '--teacher-cache', '1'));
    // All but those of the held-out image.
    assert.match(stderr, /embeddings of 36 of 36 regions are kept/);
    // 0.0002 MiB holds a few embeddings: the others are computed anew beside them.
    const few = await succeed(command('kept-few', ...options, '--teacher-cache', '0.0002'));
    const [, count] = /embeddings of (\d+) of 36/.exec(few.stderr)!;
    assert.ok(Number(count) > 0 && Number(count) < 36, count);
    await assertSameWeights('kept-few', 'kept');
    await interrupt(command('kept-killed', ...options, '--teacher-cache', '1'), folder.file('kept-killed'));
    await assertSameWeights('kept-killed', 'kept');
    await assertNearLosses('kept', 'anew');
  });

  it('keeps them where one image stands in for several that cannot be read', async () => {
    const images = folder.file('damaged');
    await writeTinyImages(images, imageCount);
    for (const index of [0, 2, 3, 5, 6, 8]) await writeFile(path.join(images, imageName(index)), 'no image');
    const boxes = ['--regions', 'proposals', '--boxes', folder.file('labelled.json'), '--images', images];
    const options = [...boxes, '--batch', '4', '--hold-out', '0'];
    await succeed(command('stand-ins-anew', ...options));
    const { stderr } = await succeed(command('stand-ins', ...options, '--teacher-cache', '1'));
    assert.match(stderr, /skipped .*image-00\.png/);
    await assertNearLosses('stand-ins', 'stand-ins-anew');
  });

  it('says how many images have no box', async () => {
    const { stderr } = await succeed(
      command('few', '--regions', 'proposals', '--boxes', folder.file('labelled.json')),
    );
    assert.match(stderr, /2 of 9 images have no box/);
  });

  it('takes plain boxes, which give the bits of the same proposals', async () => {
    const { images, annotations: regions } = annotations(9) as {
      images: { id: number; file_name: string }[];
      annotations: { image_id: number; bbox: number[] }[];
    };
    // Whole numbers: corners and sizes are the same to the bit.
    const whole = regions.map(({ bbox, ...rest }) => ({ ...rest, bbox: bbox.map(Math.round) }));
    await writeFile(folder.file('whole.json'), JSON.stringify({ images, annotations: whole }));
    const boxes = whole.map(({ image_id, bbox: [x, y, w, h] }) => ({
      image: imageName(image_id - 10),
      box: [x!, y!, x! + w!, y! + h!],
    }));
    await writeFile(folder.file('plain.json'), JSON.stringify({ boxes }));
    await succeed(command('whole', '--regions', 'proposals', '--boxes', folder.file('whole.json')));
    await succeed(command('plain', '--regions', 'boxes-file', '--boxes', folder.file('plain.json')));
    assert.deepEqual(await losses('plain'), await losses('whole'));
  });

  it('trains on region–noun pairs, on the images that have some, and resumes to the same bits', async () => {
    const options = ['--method', 'regionclip', '--boxes', folder.file('labelled.json')];
    options.push('--embeddings', folder.file('nouns.npy'), '--epochs', '12');
    await succeed(command('pairs', ...options));
    const { imageCount: counts, settings } = await readRunConfiguration(
      runFiles(folder.file('pairs')).configuration,
    );
    assert.deepEqual(counts, { found: 9, training: 6, heldOut: 1 });
    assert.equal(settings.regions, 'proposals');
    const all = await losses('pairs');
    const mean = (values: readonly number[]): number =>
      values.reduce((sum, value) => sum + value, 0) / values.length;
    assert.ok(mean(all.slice(-6)) < mean(all.slice(0, 6)), 'the pairs were learned');
    await interrupt(command('pairs-killed', ...options), folder.file('pairs-killed'));
    await assertSameWeights('pairs-killed', 'pairs');
  });

  it('accumulates, draws sizes, keeps whole images, and resumes to the same bits', async () => {
    const options = ['--accumulate', '2', '--multiscale', '16,32', '--retention', '0.5'];
    options.push('--train-ratio', '0.75', '--cosine-weight', '0.5', '--epochs', '8');
    await succeed(command('options', ...options));
    const { imageCount: counts, stepsPerEpoch } = await readRunConfiguration(
      runFiles(folder.file('options')).configuration,
    );
    assert.deepEqual(counts, { found: 9, training: 6, heldOut: 1 });
    assert.equal(stepsPerEpoch, 1);
    await interrupt(command('options-killed', ...options), folder.file('options-killed'));
    await assertSameWeights('options-killed', 'options');
  });

  it('does not resume with other boxes under the same name', async () => {
    const boxes = folder.file('changing.json');
    await writeFile(boxes, JSON.stringify(annotations(9)));
    const args = command('changing', '--regions', 'proposals', '--boxes', boxes);
    await succeed(args);
    await writeFile(boxes, JSON.stringify(annotations(8)));
    const { status, stderr } = await runTrainer(args);
    assert.equal(status, 1);
    assert.match(stderr, /regionsHash is "\w+" there and "\w+" now/);
  });

  describe('refuses in one line', () => {
    const refused: [what: string, content: string | null, args: string[], message: RegExp, status: number][] =
      [
        ['boxes without a kind', '{}', [], /--boxes needs --regions/, 2],
        ['a kind without boxes', null, ['--regions', 'proposals'], /--regions proposals needs --boxes/, 2],
        [
          'a memory for grids',
          null,
          ['--teacher-cache', '1'],
          /--teacher-cache needs --regions proposals/,
          2,
        ],
        ['an unknown kind', '{}', ['--regions', 'circles'], /--regions takes grid, proposals, boxes-file/, 2],
        ['an unknown method', null, ['--method', 'magic'], /--method takes clipself, regionclip/, 2],
        ['sizes that are none', null, ['--multiscale', '16,big'], /--multiscale takes sides from/, 2],
        ['damaged JSON', '{"images": [', ['--regions', 'proposals'], /is not valid JSON/, 1],
        ['no images', '{"annotations": []}', ['--regions', 'proposals'], /no list “images”/, 1],
        [
          'names of other images',
          '{"images": [{"id": 1, "file_name": "other.png"}], "annotations": []}',
          ['--regions', 'proposals'],
          /names none of the 9 images/,
          1,
        ],
        [
          'names that leave the folder',
          '{"images": [{"id": 1, "file_name": "../image-00.png"}], "annotations": []}',
          ['--regions', 'proposals'],
          /leaves the image folder/,
          1,
        ],
        [
          'an annotation without a box',
          '{"images": [{"id": 1, "file_name": "image-00.png"}], "annotations": [{"image_id": 1, "bbox": [1, 2, 3]}]}',
          ['--regions', 'proposals'],
          /annotations\[0\] has no image_id and bbox/,
          1,
        ],
        [
          'a box beyond any image',
          '{"images": [{"id": 1, "file_name": "image-00.png"}], "annotations": [{"image_id": 1, "bbox": [1, 2, 3, 1e9]}]}',
          ['--regions', 'proposals'],
          /box 0 lies outside of any image/,
          1,
        ],
        [
          'labels without categories',
          '{"images": [{"id": 1, "file_name": "image-00.png"}], "annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4]}]}',
          ['--method', 'regionclip'],
          /no list “categories”/,
          1,
        ],
        [
          'plain boxes of an unknown class',
          '{"classes": ["cat"], "boxes": [{"image": "image-00.png", "box": [1, 2, 30, 40], "class": "dog"}]}',
          ['--method', 'regionclip', '--regions', 'boxes-file'],
          /class 'dog', which is not in “classes”/,
          1,
        ],
      ];
    for (const [what, content, more, message, expected] of refused)
      it(what, async () => {
        const boxes = folder.file('refused.json');
        if (content !== null) await writeFile(boxes, content);
        const args = [...more, ...(content === null ? [] : ['--boxes', boxes])];
        const { status, stderr } = await runTrainer(command('refused', ...args));
        assert.match(stderr, message);
        assert.equal(status, expected);
        assert.equal(stderr.trim().split('\n').length, 1, stderr);
        assert.ok(!stderr.includes(`${path.sep}trainer${path.sep}`), stderr);
      });
  });
});
