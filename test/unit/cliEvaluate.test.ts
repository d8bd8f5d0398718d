import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { evaluateCommand } from '../../trainer/commands/evaluate.ts';
import { openReference } from '../../trainer/commands/openTower.ts';
import { textCommand } from '../../trainer/commands/text.ts';
import { soloWorld } from '../../trainer/distributed/world.ts';
import { type EvaluationRequest, evaluate } from '../../trainer/evaluate/evaluation.ts';
import { openData } from '../../trainer/evaluate/openData.ts';
import type { EvaluationReport } from '../../trainer/evaluate/protocol.ts';
import { readClassEmbeddings } from '../../trainer/text/classEmbeddings.ts';
import { SettingError } from '../../trainer/training/settings.ts';
import { UsageError } from '../../trainer/usageError.ts';
import { panopticFiles, readRegions, writePanoptic, writeTinyWords } from '../support/evaluationFixture.ts';
import { modelAt } from '../support/inspectClient.ts';
import { printed } from '../support/printed.ts';
import { tarMember, tarOf } from '../support/shards.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { writeTinyModel } from '../support/trainingFixture.ts';

const readReport = async (file: string): Promise<EvaluationReport> =>
  JSON.parse(await readFile(file, 'utf8')) as EvaluationReport;

/** What a report says of its results alone. */
const resultsOf = ({ numbers, readings, counts, sweep, retention, key }: EvaluationReport) => ({
  numbers,
  readings,
  counts,
  sweep,
  retention,
  key,
});

describe('clipself evaluate', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;
  let common: string[];

  before(async () => {
    folder = await temporaryFolder();
    await writeTinyModel(folder.file('model'));
    await writeTinyWords(folder.file('words.npy'));
    common = ['--model', folder.file('model'), '--images', panopticFiles.images, '--threads', '1'];
    common.push('--embeddings', folder.file('words.npy'), '--json');
  });
  after(() => folder.remove());

  const panoptic = (annotations = panopticFiles.annotations): string[] => [
    ...common,
    '--panoptic',
    annotations,
    '--masks',
    panopticFiles.masks,
  ];

  it('writes report and regions, with a sweep over sizes', async () => {
    const out = folder.file('sweep/report.json');
    const line = await printed(() =>
      evaluateCommand([...panoptic(), '--size', '32', '--sizes', '64,32,48', '--out', out]),
    );
    const report = await readReport(out);
    assert.deepEqual(JSON.parse(line).numbers, report.numbers);
    assert.equal(Object.keys(report.numbers).length, 12);
    assert.deepEqual(report.counts, { images: 4, regions: 22, skipped: { 'smaller than 64 px': 2 } });
    assert.deepEqual(
      report.sweep.map(({ size }) => size),
      [32, 48, 64],
    );
    assert.deepEqual(report.sweep[0]!.numbers, report.numbers);
    // The size at which the sweep looks is as good as the main one.
    const alone = folder.file('alone/report.json');
    await printed(() => evaluateCommand([...panoptic(), '--size', '64', '--out', alone]));
    assert.deepEqual(report.sweep[2]!.numbers, (await readReport(alone)).numbers);
    const regions = await readRegions(out);
    assert.equal(regions.length, 22);
    for (const { readings } of regions)
      assert.deepEqual(Object.keys(readings), ['rois', 'maskpool', 'crops']);
    assert.deepEqual((await readdir(folder.file('sweep'))).sort(), ['report.json', 'report.regions.jsonl']);
  });

  it('reads images from shards, to the same results', async () => {
    const names = await readdir(panopticFiles.images);
    const members = await Promise.all(
      names.map(async name => tarMember(name, await readFile(path.join(panopticFiles.images, name)))),
    );
    await writeFile(folder.file('0.tar'), tarOf(...members.slice(0, 2)));
    await writeFile(folder.file('1.tar'), tarOf(...members.slice(2)));
    const evaluated = async (shards: string, out: string): Promise<string> => {
      const words = panoptic().map(word => (word === panopticFiles.images ? folder.file(shards) : word));
      await printed(() => evaluateCommand([...words, '--size', '32', '--out', folder.file(out)]));
      return readFile(folder.file(out.replace('.json', '.regions.jsonl')), 'utf8');
    };
    const plain = folder.file('plain/report.json');
    await printed(() => evaluateCommand([...panoptic(), '--size', '32', '--out', plain]));
    const expected = await readFile(plain.replace('.json', '.regions.jsonl'), 'utf8');
    assert.deepEqual(await evaluated('{0,1}.tar', 'shards/report.json'), expected);
    const results = await readReport(folder.file('shards/report.json'));
    assert.deepEqual(resultsOf(results), resultsOf(await readReport(plain)));
    await assert.rejects(evaluated('0.tar', 'part/report.json'), /0\.tar.*no such file, but panoptic\.json/);
    await writeFile(folder.file('2.tar'), tarOf(...members.slice(2)));
    await assert.rejects(
      evaluated('{0,1,2}.tar', 'twice/report.json'),
      /2\.tar:.* it has the name of .*1\.tar/,
    );
    const labels = ['--image-labels', folder.file('labels.json')];
    await writeFile(folder.file('labels.json'), '{}');
    const words = panoptic().map(word => (word === panopticFiles.images ? folder.file('0.tar') : word));
    const whole = [...words, ...labels, '--skip-broken', '--out', folder.file('whole/report.json')];
    await assert.rejects(evaluateCommand(whole), /labels\.json: .*--images names shards/);
  });

  it('counts what the regions file says', async () => {
    const out = folder.file('sweep/report.json');
    const [report, regions] = [await readReport(out), await readRegions(out)];
    for (const [reading, { overall, confusions, perClass, bySize }] of Object.entries(report.readings)) {
      const rankings = regions.map(region => region.readings[reading as 'rois']!);
      assert.equal(overall.top1, rankings.filter(({ rank }) => rank === 1).length / 22);
      assert.equal(overall.top5, rankings.filter(({ rank }) => rank <= 5).length / 22);
      const margins = rankings.map(
        ({ top, cosines, trueCosine }, index) =>
          trueCosine - (top[0] === regions[index]!.class ? cosines[1]! : cosines[0]!),
      );
      assert.ok(Math.abs(overall.margin! - margins.reduce((sum, margin) => sum + margin) / 22) < 1e-12);
      assert.equal(
        confusions.reduce((sum, { regions: count }) => sum + count, 0),
        22,
      );
      const right = confusions.filter(({ truth, named }) => truth === named);
      assert.equal(
        right.reduce((sum, { regions: count }) => sum + count, 0),
        overall.top1! * 22,
      );
      assert.equal(
        perClass.reduce((sum, { regions: count }) => sum + count, 0),
        22,
      );
      const small = regions.filter(({ area }) => area < 1024).length;
      assert.deepEqual([bySize.small.regions, bySize.large.regions], [small, 0]);
    }
  });

  it('reads a finished report back, and makes another for another model', async () => {
    const out = folder.file('alone/report.json');
    const { created } = await readReport(out);
    const before = (await stat(out)).mtimeMs;
    await printed(() => evaluateCommand([...panoptic(), '--size', '64', '--out', out]));
    assert.equal((await stat(out)).mtimeMs, before);
    await printed(() => evaluateCommand([...panoptic(), '--size', '64', '--limit', '2', '--out', out]));
    const again = await readReport(out);
    assert.notEqual(again.created, created);
    assert.equal(again.counts.images, 2);
  });

  describe('that is cut', () => {
    let request: EvaluationRequest;
    let run: (
      report: string,
      stopAfter?: number,
    ) => Promise<{ report: EvaluationReport | null; seen: number[] }>;

    before(async () => {
      const { annotations, images, masks } = panopticFiles;
      const folders = { images, masks };
      const data = await openData({ kind: 'panoptic', annotations, folders, limit: null, skipBroken: false });
      const words = await readClassEmbeddings(
        folder.file('words.npy'),
        data.classes.map(({ name }) => name),
      );
      const base = { data, folders, words, wordsSource: 'words.npy', skipBroken: false };
      request = { ...base, sizes: [32, 64], report: '' };
      run = async (report, stopAfter = Number.POSITIVE_INFINITY) => {
        const tower = await openReference(modelAt(folder.file('model')), 'auto', 1);
        const seen: number[] = [];
        try {
          const identity = { name: 'tiny', path: '', sha256: 'a', run: null, step: null, epoch: null };
          const { features, model } = tower;
          const { architecture, normalisation } = model;
          const evaluated = { identity, features, architecture, normalisation, engine: 'test' };
          const hooks = {
            stopped: () => seen.length >= stopAfter,
            progress: (done: number) => {
              seen.push(done);
            },
          };
          return { report: await evaluate(soloWorld, evaluated, { ...request, report }, null, hooks), seen };
        } finally {
          await tower.dispose();
        }
      };
    });

    it('goes on after the last complete image to the same report', async () => {
      const whole = (await run(folder.file('whole/report.json'))).report!;
      const out = folder.file('cut/report.json');
      assert.equal((await run(out, 2)).report, null);
      // As if killed in the middle of a line.
      const partial = folder.file('cut/report.regions.partial.jsonl');
      await writeFile(partial, `${await readFile(partial, 'utf8')}{"image":"p2.p`);
      const progress = folder.file('cut/report.progress.jsonl');
      await writeFile(progress, `${await readFile(progress, 'utf8')}{"image":2,"regi`);
      const { report, seen } = await run(out);
      assert.deepEqual(seen, [3, 4]);
      assert.deepEqual(resultsOf(report!), resultsOf(whole));
      assert.deepEqual(await readRegions(out), await readRegions(folder.file('whole/report.json')));
    });

    it('begins anew when anything else is asked for', async () => {
      const out = folder.file('other/report.json');
      await run(out, 2);
      request = { ...request, sizes: [64] };
      const { seen } = await run(out);
      assert.deepEqual(seen, [1, 2, 3, 4]);
    });

    it('begins anew when its files do not fit together', async () => {
      const out = folder.file('lost/report.json');
      await run(out, 3);
      await rm(folder.file('lost/report.regions.partial.jsonl'));
      assert.deepEqual((await run(out)).seen, [1, 2, 3, 4]);
    });
  });

  it('names whole images, student against teacher', async () => {
    const out = folder.file('retention/report.json');
    const labels = folder.file('labels');
    for (const [name, image] of [
      ['cat', 'p0.png'],
      ['sky', 'p1.png'],
      ['cat', 'p2.png'],
    ] as const) {
      await mkdir(path.join(labels, name), { recursive: true });
      await copyFile(path.join(panopticFiles.images, image), path.join(labels, name, image));
    }
    const args = [...panoptic(), '--size', '32', '--limit', '1', '--teacher', folder.file('model')];
    await printed(() => evaluateCommand([...args, '--image-labels', labels, '--out', out]));
    const { retention } = await readReport(out);
    assert.equal(retention!.images, 3);
    assert.deepEqual(retention!.student, retention!.teacher);
    await writeFile(
      folder.file('labels.json'),
      JSON.stringify({ 'p0.png': 'cat', 'p1.png': 'sky', 'p2.png': 'cat' }),
    );
    const other = folder.file('retention/json.json');
    await printed(() =>
      evaluateCommand([...args, '--image-labels', folder.file('labels.json'), '--out', other]),
    );
    assert.deepEqual((await readReport(other)).retention, retention);
    await writeFile(folder.file('labels.json'), JSON.stringify({ 'p0.png': 'unicorn' }));
    await assert.rejects(
      evaluateCommand([...args, '--image-labels', folder.file('labels.json'), '--out', other]),
      /p0\.png has the class 'unicorn', which is not evaluated/,
    );
  });

  it('takes --arch for the teacher too, where it does not tell', async () => {
    const bare = folder.file('bare.safetensors');
    await copyFile(folder.file('model/open_clip_model.safetensors'), bare);
    const args = [...panoptic(), '--size', '32', '--limit', '1', '--teacher', bare];
    args.push('--image-labels', folder.file('labels'), '--out', folder.file('bare/report.json'));
    await assert.rejects(evaluateCommand(args), /bare\.safetensors: .*Pass --arch/);
    await printed(() => evaluateCommand([...args, '--arch', folder.file('model/open_clip_config.json')]));
    const { retention } = await readReport(folder.file('bare/report.json'));
    assert.deepEqual(retention!.student, retention!.teacher);
  });

  it('reads the default prompts with the model itself, as clipself text does', async () => {
    const cache = process.env.CLIPSELF_CACHE;
    process.env.CLIPSELF_CACHE = folder.file('cache');
    try {
      const demo = fileURLToPath(new URL('../../media/demo/model', import.meta.url));
      const { annotations, images, masks } = panopticFiles;
      const args = ['--model', demo, '--panoptic', annotations, '--images', images, '--masks', masks];
      args.push('--size', '64', '--limit', '2', '--threads', '1');
      const reports: EvaluationReport[] = [];
      const out = folder.file('prompts/report.json');
      await printed(() => evaluateCommand([...args, '--out', out]));
      reports.push(await readReport(out));
      const words = folder.file('demo.npy');
      await printed(() =>
        textCommand(['--model', demo, '--classes', annotations, '--out', words, '--threads', '1']),
      );
      const other = folder.file('prompts/words.json');
      await printed(() => evaluateCommand([...args, '--embeddings', words, '--out', other]));
      reports.push(await readReport(other));
      assert.deepEqual(reports[0]!.readings, reports[1]!.readings);
      assert.deepEqual([reports[0]!.words.source, reports[1]!.words.source], ['default prompts', words]);
    } finally {
      if (cache === undefined) delete process.env.CLIPSELF_CACHE;
      else process.env.CLIPSELF_CACHE = cache;
    }
  });

  it('evaluates instances by their polygons', async () => {
    const square = [5, 5, 45, 5, 45, 45, 5, 45];
    const annotation = { image_id: 1, category_id: 1, bbox: [5, 5, 40, 40] };
    const instances = {
      images: [{ id: 1, file_name: 'p0.png', width: 90, height: 60 }],
      annotations: [
        { ...annotation, id: 1, segmentation: [square] },
        { ...annotation, id: 2, segmentation: [] },
      ],
      categories: Array.from({ length: 7 }, (_, index) => ({ id: index + 1, name: `class ${index}` })),
    };
    await writeFile(folder.file('instances.json'), JSON.stringify(instances));
    const out = folder.file('instances/report.json');
    await printed(() =>
      evaluateCommand([
        ...common,
        '--instances',
        folder.file('instances.json'),
        '--size',
        '32',
        '--out',
        out,
      ]),
    );
    const [masked, boxed] = await readRegions(out);
    assert.deepEqual(Object.keys(masked!.readings), ['rois', 'maskpool', 'crops']);
    assert.deepEqual(Object.keys(boxed!.readings), ['rois', 'crops']);
    assert.deepEqual([masked!.area, boxed!.area], [1600, 1600]);
    assert.deepEqual(masked!.box, [5, 5, 45, 45]);
    assert.equal((await readReport(out)).readings.maskpool!.overall.regions, 1);
  });

  it('evaluates boxes without masks', async () => {
    const boxes = [
      { image: 'p0.png', box: [0, 0, 30, 30], class: 'person' },
      { image: 'p3.png', box: [10, 5, 60, 35], class: 'cat' },
    ];
    const classes = ['person', 'boat', 'bird', 'cat', 'sky', 'grass', 'sea'];
    await writeFile(folder.file('boxes.json'), JSON.stringify({ classes, boxes }));
    const out = folder.file('boxes/report.json');
    await printed(() =>
      evaluateCommand([...common, '--boxes', folder.file('boxes.json'), '--size', '32', '--out', out]),
    );
    const report = await readReport(out);
    assert.deepEqual(Object.keys(report.readings), ['rois', 'crops']);
    assert.equal(report.data.masks, null);
    assert.equal(report.numbers['rois.stuff.macc1'], null);
  });

  it('leaves out what is broken when told to', async () => {
    await writePanoptic(folder.file('wrong.json'), ({ annotations }) => {
      annotations[0]!.segments_info[0]!.category_id = 77;
    });
    const args = [
      ...panoptic(folder.file('wrong.json')),
      '--size',
      '32',
      '--out',
      folder.file('skip/report.json'),
    ];
    await assert.rejects(evaluateCommand(args), /wrong\.json: segment 255 has the category 77/);
    await printed(() => evaluateCommand([...args, '--skip-broken']));
    const { counts } = await readReport(folder.file('skip/report.json'));
    assert.deepEqual(counts.skipped, { 'unknown category': 1, 'smaller than 64 px': 2 });
    assert.equal(counts.regions, 21);
  });

  it('says what is wrong with the command', async () => {
    const out = ['--out', folder.file('no/report.json')];
    const wrong: [string[], typeof UsageError | typeof SettingError, RegExp][] = [
      [[...common, ...out], UsageError, /one of --panoptic, --instances and --boxes/],
      [[...common, '--panoptic', 'a.json', ...out], UsageError, /--panoptic needs --masks/],
      [[...panoptic(), '--prompts', 'p.txt', ...out], UsageError, /exclude each other/],
      [[...panoptic(), '--out', 'report.txt'], UsageError, /must end with \.json/],
      [[...panoptic(), '--size', '8', ...out], SettingError, /--size takes a whole number from 16/],
      [[...panoptic(), '--sizes', '64,,32', ...out], SettingError, /--sizes takes/],
    ];
    for (const [args, kind, message] of wrong)
      await assert.rejects(
        evaluateCommand(args),
        (error: unknown) => error instanceof kind && message.test(error.message),
      );
    const words = ['--embeddings', folder.file('other.npy')];
    await copyFile(path.join(panopticFiles.images, '../panoptic_embeddings.npy'), folder.file('other.npy'));
    await assert.rejects(
      evaluateCommand([...panoptic(), ...words, ...out]),
      /other\.npy: its rows have 32 channels, but the model's embeddings have 16/,
    );
  });
});
