import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { EvaluationReport } from '../../trainer/evaluate/protocol.ts';
import { panopticFiles, writePanoptic, writeTinyWords } from '../support/evaluationFixture.ts';
import { findLauncher, type Launcher, processOfRank, startRanks } from '../support/launchers.ts';
import { skipBecause } from '../support/skip.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  type Ended,
  startProcess,
  type TrainerProcess,
  textOf,
  trainerProgram,
  writeTinyImages,
  writeTinyModel,
} from '../support/trainingFixture.ts';

/** Rank files of regions and progress, as an evaluation leaves them when it is cut. */
const workFile = /\.(?:progress|partial)\.jsonl$|\.rank-/;

for (const name of ['Open MPI', 'MPICH'])
  describe(`evaluation and features over ranks of ${name}`, function () {
    this.timeout(120_000);
    let folder: TemporaryFolder;
    let launcher: Launcher;
    let jobs: TrainerProcess[] = [];

    const start = (ranks: number, args: readonly string[]): TrainerProcess => {
      const job =
        ranks === 1
          ? startProcess(process.execPath, [trainerProgram, ...args])
          : startRanks(launcher, ranks, [trainerProgram, ...args]);
      jobs.push(job);
      return job;
    };
    const run = async (ranks: number, args: readonly string[]): Promise<Ended> => {
      const ended = await start(ranks, args).ended;
      assert.equal(ended.status, 0, ended.stderr);
      return ended;
    };
    const evaluation = (out: string, ...more: string[]): string[] => [
      ...['evaluate', '--model', folder.file('model'), '--embeddings', folder.file('words.npy')],
      ...['--panoptic', folder.file('panoptic.json'), '--images', folder.file('images')],
      ...['--masks', folder.file('masks'), '--image-labels', folder.file('labels.json')],
      ...['--teacher', folder.file('other'), '--size', '32', '--sizes', '64', '--threads', '1'],
      ...['--out', folder.file(out), ...more],
    ];
    /** All that a report says but when it was made and how long it took. */
    const resultsOf = async (out: string): Promise<Partial<EvaluationReport>> => {
      const report = JSON.parse(await readFile(folder.file(out), 'utf8')) as Partial<EvaluationReport>;
      assert.ok(report.time!.seconds > 0 && report.created);
      const { time: _time, created: _created, ...results } = report;
      return results;
    };
    const bytesOf = (file: string): Promise<Buffer> => readFile(folder.file(file));

    before(async function () {
      const found = findLauncher(name);
      if (typeof found === 'string') skipBecause(this, found);
      launcher = found;
      folder = await temporaryFolder();
      await buildTrainer();
      await writeTinyModel(folder.file('model'));
      await writeTinyModel(folder.file('other'));
      await writeTinyWords(folder.file('words.npy'));
      await writeManyPanoptic(folder, 7);
      await run(1, evaluation('alone/report.json'));
    });
    after(() => folder?.remove());
    afterEach(async () => {
      for (const { child } of jobs) child.kill('SIGKILL');
      await Promise.all(jobs.map(({ ended }) => ended));
      jobs = [];
    });

    it('name the same regions byte for byte, and write the same report', async () => {
      for (const ranks of [2, 3]) {
        const out = `shared-${ranks}`;
        const { stdout, stderr } = await run(ranks, evaluation(`${out}/report.json`));
        assert.match(stdout, /^154 regions of 28 images, .*images\/s: /m);
        assert.equal(stdout.match(/regions of/g)?.length, 1);
        assert.doesNotMatch(stderr, /fail|error/i);
        assert.deepEqual(await resultsOf(`${out}/report.json`), await resultsOf('alone/report.json'));
        assert.ok(
          (await bytesOf(`${out}/report.regions.jsonl`)).equals(await bytesOf('alone/report.regions.jsonl')),
        );
        assert.deepEqual((await readdir(folder.file(out))).sort(), ['report.json', 'report.regions.jsonl']);
      }
    });

    it('go on where they were cut with any number of ranks', async () => {
      const args = evaluation('cut/report.json');
      const job = start(3, args);
      const progress = folder.file('cut/report.rank-1.progress.jsonl');
      while (!job.over() && (textOf(progress).match(/"image":/g)?.length ?? 0) < 2) await delay(2);
      process.kill(processOfRank(1, folder.file('cut/report.json'))!, 'SIGKILL');
      assert.notEqual((await job.ended).status, 0);
      const left = await readdir(folder.file('cut'));
      assert.ok(left.includes('report.rank-1.progress.jsonl') && !left.includes('report.json'), String(left));
      await run(2, args);
      assert.deepEqual(await resultsOf('cut/report.json'), await resultsOf('alone/report.json'));
      assert.ok(
        (await bytesOf('cut/report.regions.jsonl')).equals(await bytesOf('alone/report.regions.jsonl')),
      );
      assert.deepEqual(
        (await readdir(folder.file('cut'))).filter(file => workFile.test(file)),
        [],
      );
    });

    it('stop together when one of them gets SIGTERM, and one process ends what they began', async () => {
      const args = evaluation('stopped/report.json');
      const job = start(2, args);
      const progress = folder.file('stopped/report.rank-1.progress.jsonl');
      while (!job.over() && !textOf(progress).includes('"image":')) await delay(2);
      process.kill(processOfRank(1, folder.file('stopped/report.json'))!, 'SIGTERM');
      const { status, stdout, stderr } = await job.ended;
      assert.equal(status, 0, stderr);
      assert.match(stdout, /^stopped; the same command goes on: /);
      await run(1, args);
      assert.deepEqual(await resultsOf('stopped/report.json'), await resultsOf('alone/report.json'));
    });

    it('tell once what all of them find wrong, and name the rank of what one finds', async () => {
      await writePanoptic(folder.file('wrong.json'), ({ annotations }) => {
        annotations[0]!.segments_info[0]!.category_id = 77;
      });
      const args = ['--panoptic', folder.file('wrong.json')];
      const wrong = await start(2, evaluation('wrong/report.json', ...args)).ended;
      assert.notEqual(wrong.status, 0);
      assert.equal(wrong.stderr.match(/wrong\.json: segment 255 has the category 77/g)?.length, 1);
      await copyFile(folder.file('images/copy-0-p1.png'), folder.file('kept.png'));
      await writeFile(folder.file('images/copy-0-p1.png'), 'no image');
      const broken = await start(2, evaluation('broken/report.json')).ended;
      await copyFile(folder.file('kept.png'), folder.file('images/copy-0-p1.png'));
      assert.notEqual(broken.status, 0);
      assert.match(broken.stderr, /clipself: rank 1 of 2: .*copy-0-p1\.png/);
    });

    it('extract the features of a folder into the same files', async () => {
      await writeTinyImages(folder.file('photos'), 9);
      await mkdir(folder.file('photos/below'));
      await copyFile(folder.file('photos/image-00.png'), folder.file('photos/below/image-00.png'));
      await writeFile(folder.file('photos/broken.jpg'), 'no image');
      const args = (out: string) => [
        ...['features', '--model', folder.file('model'), '--images', folder.file('photos')],
        ...['--size', '64', '--threads', '1', '--json', '--out', folder.file(out)],
      ];
      const { stdout } = await run(1, args('one'));
      const outcome = { state: 'finished', out: folder.file('one'), images: 10, leftOut: 1 };
      assert.deepEqual(JSON.parse(stdout), outcome);
      const shared = await run(2, args('two'));
      assert.deepEqual(JSON.parse(shared.stdout), { ...outcome, out: folder.file('two') });
      const files = (await readdir(folder.file('one'), { recursive: true }))
        .filter(file => /\..+$/.test(file))
        .sort();
      assert.equal(files.length, 11);
      assert.ok(files.includes(path.join('below', 'image-00.png.safetensors')));
      for (const file of files)
        assert.ok((await bytesOf(`one/${file}`)).equals(await bytesOf(`two/${file}`)), file);
      const single = [
        'features',
        '--model',
        folder.file('model'),
        '--image',
        folder.file('photos/image-03.png'),
      ];
      await run(1, [...single, '--size', '64', '--threads', '1', '--out', folder.file('single.safetensors')]);
      assert.ok((await bytesOf('single.safetensors')).equals(await bytesOf('two/image-03.png.safetensors')));
      const other = await start(2, [...args('two'), '--size', '32']).ended;
      assert.notEqual(other.status, 0);
      assert.equal(other.stderr.match(/made with other settings \(size\)/g)?.length, 1);
    });
  });

/** The published evaluation's four images several times over, each with its own names, and classes of whole images. */
async function writeManyPanoptic(folder: TemporaryFolder, copies: number): Promise<void> {
  const content = JSON.parse(await readFile(panopticFiles.annotations, 'utf8'));
  const [images, annotations]: [unknown[], unknown[]] = [[], []];
  const labels: Record<string, string> = {};
  for (const kind of ['images', 'masks']) await mkdir(folder.file(kind), { recursive: true });
  for (let copy = 0; copy < copies; copy++) {
    const renamed = (file: string): string => `copy-${copy}-${file}`;
    for (const image of content.images) {
      const file = renamed(image.file_name);
      images.push({ ...image, id: copy * 1000 + image.id, file_name: file });
      labels[file] = content.categories[(copy + images.length) % content.categories.length].name;
      await copyFile(path.join(panopticFiles.images, image.file_name), folder.file(`images/${file}`));
    }
    for (const annotation of content.annotations) {
      const file = renamed(annotation.file_name);
      annotations.push({ ...annotation, image_id: copy * 1000 + annotation.image_id, file_name: file });
      await copyFile(path.join(panopticFiles.masks, annotation.file_name), folder.file(`masks/${file}`));
    }
  }
  await writeFile(folder.file('panoptic.json'), JSON.stringify({ ...content, images, annotations }));
  await writeFile(folder.file('labels.json'), JSON.stringify(labels));
}
