import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import { readCocoInstances } from '../../trainer/evaluate/cocoInstances.ts';
import { readCocoPanoptic } from '../../trainer/evaluate/cocoPanoptic.ts';
import { readPlainBoxes } from '../../trainer/evaluate/plainBoxes.ts';
import { type PreparationSettings, prepareRegions } from '../../trainer/evaluate/prepareRegions.ts';
import { type AnnotatedImage, withExistingFiles } from '../../trainer/evaluate/regionData.ts';
import { clipNormalisation } from '../../trainer/images/normalise.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const categories = [
  { id: 9, name: 'sky', isthing: 0 },
  { id: 2, name: 'cat', isthing: 1 },
];

describe('readers of region data', () => {
  let folder: TemporaryFolder;

  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => folder.remove());

  async function written(content: unknown): Promise<string> {
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    await writeFile(folder.file('annotations.json'), text);
    return folder.file('annotations.json');
  }

  const panoptic = (segment: object) => ({
    // Lists may come in any order.
    annotations: [{ image_id: 7, file_name: 'a.png', segments_info: [segment] }],
    info: { images: 'not these', annotations: [1, [2]] },
    categories,
    images: [{ id: 7, file_name: 'a.jpg', width: 40, height: 30 }],
  });
  const segment = { id: 5, category_id: 2, bbox: [1, 2, 20, 15] };

  it('read panoptic segments, classes by id', async () => {
    const data = await readCocoPanoptic(await written(panoptic(segment)), false);
    assert.deepEqual(
      data.classes.map(({ name, isThing }) => [name, isThing]),
      [
        ['cat', true],
        ['sky', false],
      ],
    );
    const region = { segment: 5, class: 0, box: [1, 2, 20, 15], segmentation: null };
    const image = { file: 'a.jpg', stated: { width: 40, height: 30 }, maskFile: 'a.png', regions: [region] };
    assert.deepEqual(data.images, [image]);
    assert.match(data.sha256, /^[0-9a-f]{64}$/);
  });

  it('name what is broken, or leave it out and count it', async () => {
    const broken: [unknown, RegExp, Record<string, number>][] = [
      [panoptic({ ...segment, category_id: 3 }), /segment 5 has the category 3/, { 'unknown category': 1 }],
      [panoptic({ ...segment, bbox: [1, 2] }), /segment 0 of image 7 has no id/, { 'segment broken': 1 }],
      [
        { ...panoptic(segment), annotations: [{ image_id: 8, file_name: 'b.png', segments_info: [] }] },
        /image 8, which is not in/,
        { 'unknown image': 1 },
      ],
      [{ ...panoptic(segment), annotations: [null] }, /annotations\[0\] has no/, { 'annotation broken': 1 }],
      [
        JSON.stringify(panoptic(segment)).slice(0, -1),
        /not valid JSON: it ends too early/,
        { 'annotations cut off': 1 },
      ],
    ];
    for (const [content, message, skipped] of broken) {
      const file = await written(content);
      await assert.rejects(readCocoPanoptic(file, false), (error: unknown) => {
        assert.ok(error instanceof FileError && error.message.startsWith(file), String(error));
        assert.match(error.message, message);
        return true;
      });
      assert.deepEqual((await readCocoPanoptic(file, true)).skipped, skipped);
    }
  });

  it('refuse what is no annotation file, whatever is to be left out', async () => {
    for (const [content, message] of [
      ['[1, 2]', /no list “images”/],
      ['{"images": {"a": 1}, "annotations": []}', /no list “images”/],
      ['', /no list “images”|not valid JSON/],
      [{ ...panoptic(segment), categories: [] }, /no list “categories”/],
    ] as const)
      await assert.rejects(readCocoPanoptic(await written(content), true), message);
    await assert.rejects(readCocoPanoptic(folder.file('none.json'), true), /none.json: cannot read: no such/);
  });

  it('read instances with polygons and run lengths, without crowds', async () => {
    const object = { image_id: 1, category_id: 2, bbox: [0, 0, 10, 10], iscrowd: 0 };
    const polygons = [
      [0, 0, 9.25, 0, 9.25, 9],
      [1, 1, 2, 2, 3, 3.5],
    ];
    const data = await readCocoInstances(
      await written({
        images: [
          { id: 1, file_name: 'a.jpg' },
          { id: 2, file_name: 'empty.jpg' },
        ],
        categories,
        annotations: [
          { ...object, id: 10, segmentation: polygons },
          { ...object, id: 11, segmentation: { size: [30, 40], counts: 'PPYo0' } },
          { ...object, id: 12, segmentation: { size: [30, 40], counts: [100, 1100] } },
          { ...object, id: 13, segmentation: [] },
          { ...object, id: 14, iscrowd: 1, segmentation: { size: [30, 40], counts: [1200] } },
        ],
      }),
      false,
    );
    assert.deepEqual(data.skipped, { crowd: 1 });
    assert.equal(data.images.length, 1);
    assert.deepEqual(
      data.images[0]!.regions.map(region => [region.segment, region.segmentation]),
      [
        [10, polygons],
        [11, { size: [30, 40], counts: 'PPYo0' }],
        [12, { size: [30, 40], counts: [100, 1100] }],
        [13, null],
      ],
    );
  });

  it('keep the first hundred objects of an image', async () => {
    const annotations = Array.from({ length: 103 }, (_, id) => ({
      id,
      image_id: 1,
      category_id: 9,
      bbox: [0, 0, 9, 9],
    }));
    const file = await written({ images: [{ id: 1, file_name: 'a.jpg' }], categories, annotations });
    const data = await readCocoInstances(file, false);
    assert.equal(data.images[0]!.regions.length, 100);
    assert.deepEqual(data.skipped, { 'beyond the first 100 of an image': 3 });
  });

  it('read plain boxes', async () => {
    const boxes = [
      { image: 'b.jpg', box: [1, 2, 11, 22], class: 'dog' },
      { image: 'a.jpg', box: [0, 0, 5, 5], class: 'cat' },
    ];
    const data = await readPlainBoxes(await written({ classes: ['cat', 'dog'], boxes }), false);
    const [first] = data.images;
    assert.deepEqual(
      [first!.file, first!.regions[0]!.box, first!.regions[0]!.class],
      ['b.jpg', [1, 2, 10, 20], 1],
    );
    const wrong = await written({
      classes: ['cat'],
      boxes: [{ image: 'a.jpg', box: [5, 5, 0, 0], class: 'cat' }],
    });
    await assert.rejects(readPlainBoxes(wrong, false), /boxes\[0\] has no image, box/);
    const unknown = await written({ classes: ['cat'], boxes });
    await assert.rejects(readPlainBoxes(unknown, false), /'dog', which is not in/);
  });

  it('name files that are missing, and refuse those that leave the folder', async () => {
    const data = await readCocoPanoptic(await written(panoptic(segment)), false);
    const folders = { images: folder.path, masks: folder.path };
    await assert.rejects(
      withExistingFiles(data, folders, false),
      /a\.jpg: no such file, but annotations\.json/,
    );
    const left = await withExistingFiles(data, folders, true);
    assert.deepEqual([left.images.length, left.skipped], [0, { 'image missing': 1 }]);
    const escaping = { ...data, images: [{ ...data.images[0]!, file: '../a.jpg' }] };
    await assert.rejects(withExistingFiles(escaping, folders, true), /leaves the image folder/);
  });

  describe('with pixels', () => {
    const image: AnnotatedImage = {
      file: 'a.png',
      stated: null,
      maskFile: 'ids.png',
      regions: [{ segment: 65541, class: 1, box: [0, 0, 3, 3], segmentation: null }],
    };
    let settings: PreparationSettings;

    beforeEach(async () => {
      const whole = { width: 40, height: 30, channels: 3, background: '#000000' } as const;
      await sharp({ create: whole }).png().toFile(folder.file('a.png'));
      // Red is the low byte: 5 + 256² = 65541.
      const patch = { width: 12, height: 10, channels: 3, background: { r: 5, g: 0, b: 1 } } as const;
      await sharp({ create: whole })
        .composite([{ input: { create: patch }, left: 8, top: 4 }])
        .removeAlpha()
        .png()
        .toFile(folder.file('ids.png'));
      settings = {
        images: folder.path,
        masks: folder.path,
        sizes: [32],
        patchSize: 8,
        cropSize: 16,
        normalisation: clipNormalisation,
        things: [true, false],
        skipBroken: false,
      };
    });

    it('box stuff by its mask, one pixel short', async () => {
      const { regions } = await prepareRegions(image, settings);
      assert.deepEqual(
        regions.map(({ box, area, hasMask }) => ({ box, area, hasMask })),
        [{ box: [8, 4, 19, 13], area: 120, hasMask: true }],
      );
    });

    it('name sizes that disagree, missing segments and unreadable files, or count them', async () => {
      const [region] = image.regions;
      const cases: [AnnotatedImage, RegExp, string][] = [
        [
          { ...image, stated: { width: 41, height: 30 } },
          /40 × 30 pixels, but the annotations say 41 × 30/,
          'size disagrees',
        ],
        [
          { ...image, regions: [{ ...region!, segment: 6 }] },
          /segment 6 has no pixel/,
          'segment not in the mask',
        ],
        [{ ...image, maskFile: 'annotations.json' }, /annotations\.json: not a JPEG/, 'mask unreadable'],
        [{ ...image, file: 'annotations.json' }, /annotations\.json: not a JPEG/, 'image unreadable'],
        [
          {
            ...image,
            maskFile: null,
            regions: [{ ...region!, segmentation: { size: [30, 41], counts: [1230] } }],
          },
          /belongs to another image/,
          'mask broken',
        ],
      ];
      await written('{}');
      for (const [broken, message, kind] of cases) {
        await assert.rejects(prepareRegions(broken, settings), message);
        const left = await prepareRegions(broken, { ...settings, skipBroken: true });
        assert.deepEqual([left.regions.length, left.skipped], [0, { [kind]: 1 }]);
      }
    });

    it('advise to leave images out only where that can be asked for', async () => {
      const broken = { ...image, stated: { width: 41, height: 30 } };
      const repair = /say 41 × 30\. Correct the data/;
      await assert.rejects(
        prepareRegions(broken, settings),
        new RegExp(`${repair.source}, or leave such images out with --skip-broken$`),
      );
      const inTraining = { ...settings, skipBroken: null };
      await assert.rejects(prepareRegions(broken, inTraining), new RegExp(`${repair.source}$`));
    });
  });
});
