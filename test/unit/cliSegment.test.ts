import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { segmentCommand } from '../../trainer/commands/segment.ts';
import { readCocoPanoptic } from '../../trainer/evaluate/cocoPanoptic.ts';
import { readSegmentMap } from '../../trainer/evaluate/regionMasks.ts';
import type { SegmentationReport } from '../../trainer/segment/protocol.ts';
import { UsageError } from '../../trainer/usageError.ts';
import { panopticFiles, writeTinyWords } from '../support/evaluationFixture.ts';
import { printed } from '../support/printed.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { tinyTensors, writeTinyModel } from '../support/trainingFixture.ts';

describe('clipself segment', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;

  before(async () => {
    folder = await temporaryFolder();
    await writeTinyModel(folder.file('model'));
    const other = tinyTensors();
    const projection = other.get('visual.proj')!;
    other.set('visual.proj', { ...projection, data: (projection.data as Float32Array).map(value => -value) });
    await writeTinyModel(folder.file('other'), other);
    await writeTinyWords(folder.file('words.npy'));
    await writeFile(folder.file('classes.txt'), 'person\nboat\nbird\ncat\nsky\ngrass\nsea\n');
    await writeIndexLabels();
  });
  after(() => folder.remove());

  /** The panoptic truth once more, as ADE20K and VOC would store it. */
  async function writeIndexLabels(): Promise<void> {
    const data = await readCocoPanoptic(panopticFiles.annotations, false);
    for (const kind of ['ade20k', 'voc']) await mkdir(folder.file(kind), { recursive: true });
    for (const { file, maskFile, regions } of data.images) {
      const { width, height, ids } = await readSegmentMap(path.join(panopticFiles.masks, maskFile!));
      const places = new Map(regions.map(region => [region.segment, region.class]));
      for (const [kind, first, none] of [
        ['ade20k', 1, 0],
        ['voc', 0, 255],
      ] as const) {
        const values = Uint8Array.from(ids, id => (places.has(id) ? places.get(id)! + first : none));
        await sharp(values, { raw: { width, height, channels: 1 } })
          .toColourspace('b-w')
          .png()
          .toFile(folder.file(`${kind}/${file}`));
      }
    }
  }

  const common = (out: string): string[] => [
    ...['--images', panopticFiles.images, '--embeddings', folder.file('words.npy'), '--size', '64'],
    ...['--threads', '1', '--json', '--out', folder.file(out)],
  ];
  const panoptic = [
    '--format',
    'panoptic',
    '--labels',
    panopticFiles.annotations,
    '--masks',
    panopticFiles.masks,
  ];

  async function segment(out: string, ...args: string[]): Promise<SegmentationReport> {
    await printed(() => segmentCommand([...common(out), ...args]));
    return JSON.parse(await readFile(folder.file(out), 'utf8')) as SegmentationReport;
  }

  it('compares two models on COCO panoptic, with pictures', async () => {
    const args = ['--model', folder.file('model'), '--before', folder.file('other'), ...panoptic];
    const report = await segment('both/report.json', ...args, '--overlays', folder.file('both/overlays'));
    const { before, after, counts, classes, overlays } = report;
    assert.deepEqual([report.kind, counts.images, classes.length], ['segmentation', 4, 7]);
    assert.deepEqual([before!.model.name, after.model.name], ['other', 'model']);
    for (const { pixels, naming } of [before!, after]) {
      const counted = pixels.confusions.reduce((sum, entry) => sum + entry.pixels, 0);
      assert.equal(counted, counts.pixels);
      const right = pixels.confusions.filter(({ truth, named }) => truth === named);
      assert.equal(pixels.pixelAccuracy, right.reduce((sum, entry) => sum + entry.pixels, 0) / counted);
      assert.deepEqual([naming.boxes.regions, naming.masks.regions], [24, 24]);
    }
    // The second model's features point the other way.
    assert.notDeepEqual(before!.pixels.confusions, after.pixels.confusions);
    assert.equal(overlays.length, 4);
    assert.deepEqual(overlays[0], {
      image: 'p0.png',
      truth: 'overlays/0000-truth.jpg',
      before: 'overlays/0000-before.jpg',
      after: 'overlays/0000-after.jpg',
    });
    const { width, height } = await sharp(folder.file('both/overlays/0000-truth.jpg')).metadata();
    assert.deepEqual([width, height], [90, 60]);
  });

  it('counts the same pixels whatever the labels are stored as', async () => {
    const model = ['--model', folder.file('model')];
    const expected = await segment('panoptic.json', ...model, ...panoptic);
    assert.equal(expected.before, null);
    for (const format of ['ade20k', 'voc']) {
      const labels = [
        '--format',
        format,
        '--labels',
        folder.file(format),
        '--classes',
        folder.file('classes.txt'),
      ];
      const report = await segment(`${format}.json`, ...model, ...labels);
      assert.deepEqual(report.after.pixels, expected.after.pixels);
      assert.deepEqual(
        [report.counts.pixels, report.counts.ignored],
        [expected.counts.pixels, expected.counts.ignored],
      );
    }
  });

  it('goes on where it was cut, with the same numbers and pictures', async () => {
    const images = folder.file('cut-images');
    await mkdir(images);
    for (const name of await readdir(panopticFiles.images))
      await copyFile(path.join(panopticFiles.images, name), path.join(images, name));
    await writeFile(path.join(images, 'p2.png'), 'no image');
    const [progress, out] = [folder.file('cut/report.progress.jsonl'), folder.file('cut/report.json')];
    const args = (report: string): string[] => [
      ...[...common(report), '--images', images, ...panoptic, '--overlays', folder.file('cut/overlays')],
      ...['--model', folder.file('model'), '--before', folder.file('other')],
    ];
    const run = () => printed(() => segmentCommand(args('cut/report.json')));
    await assert.rejects(run, /p2\.png/);
    const begun = await readFile(progress, 'utf8');
    // The key and two images.
    assert.equal(begun.trim().split('\n').length, 3);
    await copyFile(path.join(panopticFiles.images, 'p2.png'), path.join(images, 'p2.png'));
    // As if it had been killed while writing the second image.
    await writeFile(progress, begun.slice(0, -20));
    await rm(folder.file('cut/overlays/0000-after.jpg'));
    await run();
    // The first image was not computed again, the second was.
    const pictures = await readdir(folder.file('cut/overlays'));
    assert.ok(!pictures.includes('0000-after.jpg') && pictures.includes('0001-after.jpg'));
    await assert.rejects(readFile(progress), /ENOENT/);
    const report = JSON.parse(await readFile(out, 'utf8')) as SegmentationReport;
    await printed(() => segmentCommand(args('cut/whole.json')));
    const whole = JSON.parse(await readFile(folder.file('cut/whole.json'), 'utf8')) as SegmentationReport;
    const results = ({ time: _time, created: _created, ...rest }: SegmentationReport) => rest;
    assert.deepEqual(results(report), results(whole));
  });

  it('begins anew where anything that the numbers depend on is another', async () => {
    const args = ['--model', folder.file('model'), ...panoptic];
    await segment('again.json', ...args);
    const stale = { schema: 1, key: 'of something else' };
    const wrong = { regions: [], pixels: 1, ignored: 0, overlay: null, sides: {} };
    await writeFile(
      folder.file('again.progress.jsonl'),
      `${JSON.stringify(stale)}\n${JSON.stringify(wrong)}\n`,
    );
    const expected = JSON.parse(await readFile(folder.file('again.json'), 'utf8')) as SegmentationReport;
    const report = await segment('again.json', ...args);
    assert.deepEqual(report.after, expected.after);
    assert.deepEqual(report.counts, expected.counts);
  });

  it('does images again whose labels were written since, and keeps those before', async () => {
    const labels = folder.file('edited');
    await mkdir(labels);
    for (const name of await readdir(folder.file('ade20k')))
      await copyFile(folder.file(`ade20k/${name}`), path.join(labels, name));
    const [second, last] = [path.join(labels, 'p1.png'), path.join(labels, 'p3.png')];
    const whole = await readFile(last);
    await writeFile(last, 'no image');
    const overlays = folder.file('edited-overlays');
    const args = ['--model', folder.file('model'), '--format', 'ade20k', '--labels', labels];
    const run = () =>
      segment('edited.json', ...args, '--classes', folder.file('classes.txt'), '--overlays', overlays);
    await assert.rejects(run, /p3\.png/);
    await writeFile(last, whole);
    const { width, height } = await sharp(second).metadata();
    await sharp(new Uint8Array(width * height).fill(1), { raw: { width, height, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toFile(second);
    for (const name of await readdir(overlays)) await rm(path.join(overlays, name));
    const report = await run();
    assert.deepEqual((await readdir(overlays)).filter(name => name.includes('truth')).sort(), [
      '0001-truth.jpg',
      '0002-truth.jpg',
      '0003-truth.jpg',
    ]);
    const again = await run();
    assert.deepEqual(report.after, again.after);
    assert.equal((await readdir(overlays)).filter(name => name.includes('truth')).length, 4);
  });

  it('names what is wrong with the labels, or leaves it out', async () => {
    const labels = folder.file('broken');
    await mkdir(labels);
    for (const name of await readdir(folder.file('ade20k')))
      await copyFile(folder.file(`ade20k/${name}`), path.join(labels, name));
    await writeFile(path.join(labels, 'p1.png'), 'no image');
    await mkdir(folder.file('high'));
    await sharp({ create: { width: 90, height: 60, channels: 3, background: { r: 9, g: 9, b: 9 } } })
      .toColourspace('b-w')
      .png()
      .toFile(folder.file('high/p0.png'));
    const high = ['--model', folder.file('model'), '--format', 'voc', '--labels', folder.file('high')];
    await assert.rejects(
      segment('x.json', ...high, '--classes', folder.file('classes.txt')),
      /p0\.png: it has the label 9, and the list names 7 classes from 0/,
    );
    const args = ['--model', folder.file('model'), '--format', 'ade20k', '--labels', labels, '--classes'];
    await assert.rejects(
      segment('x.json', ...args, folder.file('classes.txt')),
      /p1\.png: it is no PNG file/,
    );
    const report = await segment('skipped.json', ...args, folder.file('classes.txt'), '--skip-broken');
    assert.deepEqual(report.counts.skipped, { 'image or labels unreadable': 1 });
    assert.equal(report.counts.images, 3);
    await copyFile(path.join(labels, 'p0.png'), path.join(labels, 'nobody.png'));
    await assert.rejects(
      segment('x.json', ...args, folder.file('classes.txt')),
      /nobody\.png: no image of this name lies below/,
    );
  });

  it('takes --arch for the model before too, where it does not tell', async () => {
    const bare = folder.file('bare.safetensors');
    await copyFile(folder.file('other/open_clip_model.safetensors'), bare);
    const args = ['--model', folder.file('model'), '--before', bare, '--limit', '1', ...panoptic];
    await assert.rejects(segment('bare.json', ...args), /bare\.safetensors: .*Pass --arch/);
    const report = await segment('bare.json', ...args, '--arch', folder.file('model/open_clip_config.json'));
    const told = await segment('told.json', ...args.with(3, folder.file('other')));
    assert.deepEqual(report.before!.pixels, told.before!.pixels);
  });

  it('is asked for in clear terms', async () => {
    const fails = (args: string[], reason: RegExp) =>
      assert.rejects(
        segmentCommand(args),
        (error: unknown) => error instanceof UsageError && reason.test(error.message),
      );
    await fails(['--model', 'm'], /segment needs --model, --images, --labels and --out/);
    const some = ['--model', 'm', '--images', 'i', '--labels', 'l', '--out', 'r.json', '--format'];
    await fails([...some, 'cityscapes'], /--format must be panoptic, ade20k, voc; got cityscapes/);
    await fails([...some, 'voc'], /--classes belongs to the formats ade20k and voc, which need it/);
    await fails([...some, 'panoptic'], /--labels of --format panoptic must end with \.json/);
  });
});
