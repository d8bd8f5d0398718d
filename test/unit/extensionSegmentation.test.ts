import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { ReportSchemaError } from '../../extension/evaluationReport.ts';
import { openedByPath } from '../../extension/evaluationRequest.ts';
import { parseShownReports } from '../../extension/evaluationState.ts';
import {
  parseSegmentArguments,
  segmentationReportPath,
  segmentCommandLine,
} from '../../extension/segmentation.ts';
import { SegmentationFollower } from '../../extension/segmentationFollower.ts';
import { readSegmentationReport } from '../../extension/segmentationReport.ts';
import { readSegmentPicture } from '../../extension/segmentPictures.ts';
import { readSegmentOptions } from '../../trainer/commands/segmentOptions.ts';
import { ConfusionMatrix, confusionsOf } from '../../trainer/segment/confusionMatrix.ts';
import type { SegmentationReport, SegmentSideReport } from '../../trainer/segment/protocol.ts';
import type { SegmentationMessage } from '../../webview/evaluation/protocol.ts';
import { segmentRows, sortSegmentRows, worstMistakes } from '../../webview/evaluation/segmentRows.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

/** Three classes; the third is nowhere in the truth. */
function sideOf(name: string, named: readonly number[]): SegmentSideReport {
  const matrix = new ConfusionMatrix(3);
  matrix.add(confusionsOf(Uint16Array.of(0, 0, 0, 0, 1, 1), Uint16Array.from(named), 3));
  const naming = {
    regions: 1,
    map: 0.5,
    accuracy: 1,
    perClass: [{ class: 1, truth: 1, named: 1, both: 1, ap: 0.5 }],
  };
  return {
    model: { name, path: `/models/${name}`, sha256: '0' },
    words: { source: 'default prompts', sha256: '0' },
    pixels: matrix.numbers(),
    naming: { boxes: naming, masks: { ...naming, map: null, perClass: [] } },
  };
}

const made = (): SegmentationReport => ({
  ...{ schema: 1, kind: 'segmentation', created: '2026-01-01T00:00:00.000Z', size: 64 },
  data: { labels: '/labels', format: 'voc', images: '/images' },
  classes: ['zebra', 'apple', 'mouse'].map((name, id) => ({ id, name })),
  counts: { images: 1, pixels: 6, ignored: 0, skipped: {} },
  before: sideOf('old', [0, 1, 1, 2, 1, 0]),
  after: sideOf('new', [0, 0, 0, 1, 1, 1]),
  overlays: [{ image: 'a.jpg', truth: 'o/0-truth.jpg', before: null, after: 'o/0-after.jpg' }],
  time: { seconds: 1, imagesPerSecond: 1 },
  versions: { clipself: '0', engine: 'none' },
});

describe('the table of a segmentation', () => {
  it('has a line for every class that is or was named, with its change', () => {
    const rows = segmentRows(made());
    assert.deepEqual(
      rows.map(({ name, pixels, before, after }) => [name, pixels, before, after]),
      [
        ['zebra', 4, 1 / 5, 3 / 4],
        ['apple', 2, 1 / 4, 2 / 3],
        ['mouse', 0, 0, null],
      ],
    );
    assert.deepEqual([rows[0]!.change, rows[2]!.change], [3 / 4 - 1 / 5, null]);
    assert.deepEqual([rows[1]!.boxes, rows[1]!.masks], [0.5, null]);
    const order = (column: Parameters<typeof sortSegmentRows>[1], descending: boolean): string[] =>
      sortSegmentRows(rows, column, descending).map(({ name }) => name);
    assert.deepEqual(order('name', false), ['apple', 'mouse', 'zebra']);
    // What is not known comes last either way.
    assert.deepEqual(order('after', true), ['zebra', 'apple', 'mouse']);
    assert.deepEqual(order('after', false), ['apple', 'zebra', 'mouse']);
  });

  it('lists the pairs that most pixels are confused between', () => {
    assert.deepEqual(worstMistakes(made(), 5), [
      { truth: 'zebra', named: 'apple', pixels: 1, after: 1 / 4, before: 2 / 4 },
    ]);
    assert.equal(worstMistakes({ ...made(), before: null }, 5)[0]!.before, null);
  });
});

describe('the report of a segmentation', () => {
  let folder: TemporaryFolder;
  let file: string;
  const write = (content: unknown): Promise<void> => writeFile(file, JSON.stringify(content, null, 2));

  before(async () => {
    folder = await temporaryFolder();
    file = folder.file('seg-report.json');
  });
  after(() => folder.remove());

  it('opens in its own tab and is restored', async () => {
    await write(made());
    const opened = await openedByPath(file);
    assert.deepEqual(opened, { before: null, after: null, segmentation: file });
    const state = { schema: 1, before: null, after: null, segmentation: file, imageFolder: null };
    assert.equal(parseShownReports(state)!.segmentation, file);
    assert.equal(parseShownReports({ ...state, segmentation: 'relative' }), null);
  });

  it('is read, and refused by the field that is wrong', async () => {
    await write(made());
    assert.deepEqual(await readSegmentationReport(file), JSON.parse(await readFile(file, 'utf8')));
    await write({ ...made(), schema: 2 });
    await assert.rejects(readSegmentationReport(file), ReportSchemaError);
    const after = made().after;
    const broken: [string, unknown][] = [
      ['classes', { ...made(), classes: [{ id: 'x', name: 'y' }] }],
      ['after', { ...made(), after: null }],
      [
        'after',
        {
          ...made(),
          after: { ...after, pixels: { ...after.pixels, confusions: [{ truth: 3, named: 0, pixels: 1 }] } },
        },
      ],
      ['overlays', { ...made(), overlays: [{ image: 1 }] }],
      ['data', { ...made(), data: {} }],
    ];
    for (const [name, content] of broken) {
      await write(content);
      await assert.rejects(
        readSegmentationReport(file),
        new RegExp(`seg-report\\.json: “${name}” is missing or not`),
      );
    }
    await write({ kind: 'other' });
    await assert.rejects(readSegmentationReport(file), /no report of a segmentation/);
  });

  it('is followed: said once, and again when it changes or goes', async () => {
    const said: SegmentationMessage[] = [];
    const follower = new SegmentationFollower(message => said.push(message));
    await write(made());
    await follower.look(file, false);
    await follower.look(file, false);
    assert.equal(said.length, 1);
    assert.equal(follower.shown!.report.after.model.name, 'new');
    await follower.look(file, true);
    assert.equal(said.length, 2);
    await follower.look(folder.file('gone.json'), false);
    assert.deepEqual([said[2]!.report, said[2]!.problem!.kind], [null, 'gone']);
    assert.equal(follower.shown, null);
  });

  it('gives its pictures, and no file beyond its folder', async () => {
    await mkdir(folder.file('o'));
    const grey = { width: 4, height: 4, channels: 3, background: { r: 9, g: 9, b: 9 } } as const;
    await sharp({ create: grey }).jpeg().toFile(folder.file('o/0-truth.jpg'));
    await writeFile(folder.file('o/0-after.jpg'), 'secret text');
    const shown = (report: SegmentationReport) => ({ path: file, report });
    const bytes = await readSegmentPicture(shown(made()), { overlay: 0, picture: 'truth' });
    assert.deepEqual(Buffer.from(bytes), await readFile(folder.file('o/0-truth.jpg')));
    const refuses = (report: SegmentationReport, picture: 'truth' | 'before' | 'after', reason: RegExp) =>
      assert.rejects(readSegmentPicture(shown(report), { overlay: 0, picture }), reason);
    await refuses(made(), 'before', /no such picture/);
    await refuses(made(), 'after', /no JPEG file/);
    for (const truth of ['../outside.jpg', path.resolve('/etc/x.jpg'), 'o/0-truth.png']) {
      const report = { ...made(), overlays: [{ ...made().overlays[0]!, truth }] };
      await refuses(report, 'truth', /is no picture below/);
    }
  });
});

describe('the command that segments', () => {
  const request = { model: '/m', format: 'voc', labels: '/l', images: '/i', classes: '/c.txt' } as const;

  it('takes its argument apart, and its command line is one that clipself understands', () => {
    const choice = { before: null, size: null, ...request };
    assert.deepEqual(parseSegmentArguments(request), choice);
    // Without the classes there is something to ask.
    assert.deepEqual(parseSegmentArguments({ ...request, classes: undefined }), {
      ...{ model: '/m', format: 'voc', labels: '/l', images: '/i' },
    });
    const report = segmentationReportPath('/e', choice);
    assert.match(report, /^\/e\/segmentation-m-l-[0-9a-f]{6}\/report\.json$/);
    const [command, ...args] = segmentCommandLine({ ...choice, before: '/b', size: 448 }, report);
    assert.equal(command, 'segment');
    const options = readSegmentOptions(args)!;
    assert.deepEqual(
      [
        options.model,
        options.before,
        options.format,
        options.classes,
        options.size,
        options.out,
        options.json,
      ],
      ['/m', '/b', 'voc', '/c.txt', 448, report, true],
    );
    assert.equal(options.overlays, path.join(path.dirname(report), 'overlays'));
  });

  it('names the entry that it cannot use', () => {
    assert.throws(
      () => parseSegmentArguments({ modle: '/m' }),
      /“modle” is not an argument of clipself\.segment/,
    );
    assert.throws(() => parseSegmentArguments({ format: 'x' }), /“format” must be panoptic, ade20k, voc/);
    assert.throws(() => parseSegmentArguments({ labels: 'l' }), /“labels” must be an absolute path/);
    assert.deepEqual(parseSegmentArguments(undefined), {});
  });
});
