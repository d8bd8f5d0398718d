import assert from 'node:assert/strict';
import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { epochNumbers, evaluationsOf, listChoices, runOfReport } from '../../extension/evaluationFiles.ts';
import { parseReport, ReportSchemaError, readReport, shownReport } from '../../extension/evaluationReport.ts';
import { openedByArguments, openedByPath, openedByRun } from '../../extension/evaluationRequest.ts';
import { parseShownReports } from '../../extension/evaluationState.ts';
import {
  drawPicture,
  drawThumbnail,
  frameAround,
  RegionImageError,
  regionImage,
} from '../../extension/regionPictures.ts';
import { parseRegionLine, RegionsIndex } from '../../extension/regionsIndex.ts';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import { regionReadings, regionsFileOf, runReportPath } from '../../trainer/evaluate/protocol.ts';
import {
  type MadeEvaluation,
  makeEvaluation,
  numberedClasses,
  writeEvaluation,
} from '../support/evaluationReports.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const options: MadeEvaluation = {
  ...{ seed: 1, classes: numberedClasses(10), regions: 300, imageFolder: '/images' },
  images: [
    { name: 'a.jpg', width: 640, height: 480 },
    { name: 'deep/b.jpg', width: 320, height: 500 },
  ],
  skill: { rois: 0.3, maskpool: 0.4, crops: 0.7 },
};
const evaluation = makeEvaluation(options);

describe('reports and regions on the disk', () => {
  let folder: TemporaryFolder;

  before(async () => {
    folder = await temporaryFolder();
  });

  after(() => folder.remove());

  it('agree: the report counts what the regions say', () => {
    for (const reading of regionReadings) {
      const { overall, perClass, confusions } = evaluation.report.readings[reading]!;
      const right = evaluation.regions.filter(region => region.readings[reading]!.rank === 1).length;
      assert.equal(overall.top1, right / evaluation.regions.length);
      assert.equal(
        perClass.reduce((sum, entry) => sum + entry.regions, 0),
        evaluation.regions.length,
      );
      const diagonal = confusions.filter(({ truth, named }) => truth === named);
      assert.equal(
        diagonal.reduce((sum, { regions }) => sum + regions, 0),
        right,
      );
    }
  });

  it('are read as they were written', async () => {
    const file = folder.file('plain/report.json');
    await writeEvaluation(file, evaluation);
    const report = await readReport(file);
    assert.deepEqual(report, evaluation.report);
    const { confusions } = shownReport(report).readings.rois!;
    const [first] = evaluation.report.readings.rois!.confusions;
    assert.deepEqual(
      [...new Uint32Array(confusions).slice(0, 3)],
      [first!.truth, first!.named, first!.regions],
    );
  });

  const damaged: [what: string, change: (report: Record<string, unknown>) => void, pattern: RegExp][] = [
    [
      'another schema',
      report => Object.assign(report, { schema: 2 }),
      /it has schema 2, and this version reads 1/,
    ],
    ['no readings', report => delete report.readings, /no report of an evaluation/],
    [
      'a class outside the list',
      report => Object.assign(report, { classes: [] }),
      /the place of one of 0 classes/,
    ],
    [
      'a class without a name',
      report => Object.assign(report, { classes: [{ id: 1 }] }),
      /classes\[0\] must be an id, a name/,
    ],
    [
      'text for a number',
      report => Object.assign(report, { size: '448' }),
      /size must be a number of at least 0/,
    ],
    ['a missing model', report => delete report.model, /model must be an object/],
    [
      'numbers that are text',
      report => Object.assign(report, { numbers: { 'rois.thing.macc1': 'x' } }),
      /numbers\.rois\.thing\.macc1 must be/,
    ],
  ];
  for (const [what, change, pattern] of damaged) {
    it(`are refused with ${what}`, () => {
      const content = structuredClone(evaluation.report) as unknown as Record<string, unknown>;
      change(content);
      assert.throws(
        () => parseReport(content, '/report.json'),
        (error: unknown) => error instanceof FileError && pattern.test(error.message),
      );
    });
  }

  it('are told apart from reports of another version', () => {
    assert.throws(() => parseReport({ ...evaluation.report, schema: 9 }, '/r.json'), ReportSchemaError);
  });

  it('are found in runs, ascending by epoch', async () => {
    const run = folder.file('runs/first');
    for (const epoch of [2, 0, 10]) {
      await writeEvaluation(path.join(run, runReportPath(epoch)), makeEvaluation({ ...options, run, epoch }));
    }
    await mkdir(path.join(run, 'evaluations/epoch-0011'));
    const found = await evaluationsOf(run);
    assert.deepEqual(
      found.map(({ epoch }) => epoch),
      [0, 2, 10],
    );
    assert.equal(runOfReport(found[0]!.report), run);
    assert.equal(runOfReport(folder.file('plain/report.json')), null);
    const choices = await listChoices(
      [{ directory: run, name: 'first' }],
      [found[1]!.report, '/elsewhere/report.json'],
    );
    assert.deepEqual(
      choices.map(({ label }) => label),
      [
        'latest (epoch 10) · first',
        'before training · first',
        'epoch 2 · first',
        'epoch 10 · first',
        path.join('elsewhere', 'report.json'),
      ],
    );
    assert.deepEqual(await openedByPath(found[2]!.report), {
      before: { kind: 'file', path: found[0]!.report },
      after: { kind: 'file', path: found[2]!.report },
    });
    assert.equal((await openedByPath(found[0]!.report)).before, null);
    assert.deepEqual((await openedByRun(run)).after, { kind: 'latest', run });
    const asked = await openedByArguments({ report: found[2]!.report, before: found[1]!.report });
    assert.deepEqual(asked.before, { kind: 'file', path: found[1]!.report });
    await assert.rejects(openedByArguments({ report: 'relative' }), /“report” must be an absolute path/);
    await assert.rejects(openedByPath(folder.file('nothing')), /is not there/);
  });

  it('take the last evaluation of every epoch from the metrics of a run', () => {
    const record = (epoch: number, value: number) => ({
      eval: { epoch, step: epoch, time: 0, 'rois.thing.macc1': value, 'heldOut.cosine': 1 },
    });
    const other = { eval: { epoch: 5, step: 5, time: 0, 'heldOut.cosine': 1 } };
    assert.deepEqual(epochNumbers([record(1, 0.5), record(0, 0.1), other, record(1, 0.6)]), [
      { epoch: 0, step: 0, numbers: { 'rois.thing.macc1': 0.1 } },
      { epoch: 1, step: 1, numbers: { 'rois.thing.macc1': 0.6 } },
    ]);
  });

  it('are restored from a stored state of the known form only', () => {
    const state = {
      schema: 1,
      before: null,
      after: { kind: 'file', path: '/a/../b.json' },
      imageFolder: 'relative',
    };
    assert.deepEqual(parseShownReports(state), {
      before: null,
      after: { kind: 'file', path: '/b.json' },
      segmentation: null,
      imageFolder: null,
    });
    for (const odd of [
      null,
      {},
      { ...state, schema: 2 },
      { schema: 1, after: { kind: 'file', path: 'b.json' } },
    ])
      assert.equal(parseShownReports(odd), null);
  });

  it('find regions by class, name and outcome', async () => {
    const file = folder.file('index/report.json');
    await writeEvaluation(file, evaluation);
    const index = await RegionsIndex.build(regionsFileOf(file));
    assert.equal(index.size, evaluation.regions.length);
    const expect = (fits: (region: (typeof evaluation.regions)[number]) => boolean) =>
      evaluation.regions.flatMap((region, place) => (fits(region) ? [place] : []));
    const select = { reading: 'rois' as const, truth: 1, named: null, outcome: 'all' as const };
    assert.deepEqual(
      index.find(select),
      expect(region => region.class === 1),
    );
    assert.deepEqual(
      index.find({ ...select, named: 2 }),
      expect(region => region.class === 1 && region.readings.rois!.top[0] === 2),
    );
    const ranks = { right: [1, 1], close: [2, 5], wrong: [2, 1e9] } as const;
    for (const [outcome, [least, most]] of Object.entries(ranks)) {
      const wanted = expect(({ readings }) => readings.rois!.rank >= least && readings.rois!.rank <= most);
      assert.deepEqual(index.find({ ...select, truth: null, outcome: outcome as 'right' }), wanted, outcome);
      assert.ok(wanted.length > 0);
    }
    assert.deepEqual(await index.read([299, 0]), [evaluation.regions[299], evaluation.regions[0]]);
  });

  it('pass over lines that are no regions, and take a last line without an end', async () => {
    const file = folder.file('torn.regions.jsonl');
    const [first, second] = evaluation.regions.map(region => JSON.stringify(region));
    const long = `{"image":"${'x'.repeat(200_000)}"}`;
    await writeFile(file, `${first}\n\n{"image":\n[1]\n${long}\n${'y'.repeat(3_000_000)}\n${second}`);
    const index = await RegionsIndex.build(file);
    assert.deepEqual(await index.read([0, 1]), evaluation.regions.slice(0, 2));
    assert.equal(index.size, 2);
  });

  it('cross the pieces in which a large file is read', async () => {
    const file = folder.file('large.regions.jsonl');
    const lines = evaluation.regions.map(region => JSON.stringify(region));
    for (let round = 0; round < 20; round++) await appendFile(file, `${lines.join('\n')}\n`);
    const fractions: number[] = [];
    const index = await RegionsIndex.build(file, { progress: fraction => fractions.push(fraction) });
    assert.equal(index.size, 20 * lines.length);
    assert.ok(fractions.length > 1 && fractions.at(-1) === 1);
    const places = [...evaluation.regions.keys()].map(place => place + 17 * lines.length);
    assert.deepEqual(await index.read(places), evaluation.regions);
  });

  it('say so when the regions changed after they were indexed, are missing, or are given up', async () => {
    const file = folder.file('changed.regions.jsonl');
    await writeFile(file, `${JSON.stringify(evaluation.regions[0])}\n`);
    const index = await RegionsIndex.build(file);
    await writeFile(file, 'short\n');
    await assert.rejects(index.read([0]), /it changed while it was read/);
    await rm(file);
    await assert.rejects(RegionsIndex.build(file), FileError);
    await assert.rejects(RegionsIndex.build(file, { signal: AbortSignal.abort() }));
  });

  it('check a region line field by field', () => {
    const [region] = evaluation.regions;
    const parse = (change: object) => parseRegionLine(JSON.stringify({ ...region, ...change }));
    assert.deepEqual(parse({}), region);
    assert.deepEqual(parse({ readings: {} })!.readings, {});
    const ranking = region!.readings.rois!;
    for (const odd of [
      { image: 3 },
      { class: -1 },
      { box: [1, 2, 3] },
      { box: [1, 2, 3, null] },
      { readings: { rois: { ...ranking, rank: 0 } } },
      { readings: { rois: { ...ranking, top: [1, 2, 3, 4, 5, 6] } } },
      { readings: { rois: { ...ranking, cosines: [1] } } },
    ])
      assert.equal(parse(odd), null, JSON.stringify(odd));
  });
});

describe('pictures of regions', () => {
  let folder: TemporaryFolder;

  before(async () => {
    folder = await temporaryFolder();
    const image = sharp({ create: { width: 400, height: 300, channels: 3, background: '#204060' } });
    await mkdir(folder.file('below'));
    await image.jpeg().toFile(folder.file('below/a.jpg'));
    await writeFile(folder.file('below/broken.jpg'), 'no image');
    await writeFile(folder.file('secret.txt'), 'secret');
  });

  after(() => folder.remove());

  it('show the region and a quarter of its sides around it', () => {
    assert.deepEqual(frameAround([100, 100, 200, 140], 400, 300), {
      left: 75,
      top: 84,
      width: 150,
      height: 72,
    });
    assert.deepEqual(frameAround([-50, 0, 1000, 400], 400, 300), {
      left: 0,
      top: 0,
      width: 400,
      height: 300,
    });
    const outside = frameAround([900, 900, 950, 950], 400, 300);
    assert.ok(
      outside.width >= 1 && outside.left + outside.width <= 400 && outside.top + outside.height <= 300,
    );
  });

  it('have the region where it is', async () => {
    const thumbnail = await drawThumbnail(folder.file('below/a.jpg'), [100, 100, 200, 140]);
    const { width, height } = await sharp(Buffer.from(thumbnail.bytes)).metadata();
    assert.deepEqual([width, height], [thumbnail.width, thumbnail.height]);
    const scale = width / 150;
    thumbnail.box.forEach((value, index) => {
      assert.ok(Math.abs(value - [25, 16, 125, 56][index]! * scale) < 1, String(thumbnail.box));
    });
    const picture = await drawPicture(folder.file('below/a.jpg'), [100, 100, 200, 140]);
    assert.deepEqual([picture.width, picture.height, picture.box], [400, 300, [100, 100, 200, 140]]);
  });

  it('come from below the image folder alone', async () => {
    const below = folder.file('below');
    assert.equal(await regionImage(below, 'a.jpg'), folder.file('below/a.jpg'));
    for (const outside of ['../secret.txt', '../below/../../x.jpg', folder.file('below/a.jpg'), '.', ''])
      await assert.rejects(regionImage(below, outside), RegionImageError, outside);
    await assert.rejects(regionImage(folder.path, 'secret.txt'), /no kind of image/);
    await assert.rejects(regionImage(below, 'gone.jpg'), /is not there/);
    await assert.rejects(drawThumbnail(folder.file('below/broken.jpg'), [0, 0, 1, 1]), /cannot be decoded/);
  });
});
