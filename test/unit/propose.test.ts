import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import { writeNpy } from '../../trainer/checkpoints/npyFile.ts';
import { openReference } from '../../trainer/commands/openTower.ts';
import { proposeCommand } from '../../trainer/commands/propose.ts';
import { pseudoLabelCommand } from '../../trainer/commands/pseudoLabel.ts';
import { cornersOf, type ProposalBox } from '../../trainer/distill/proposals.ts';
import { decodeImage } from '../../trainer/images/decode.ts';
import { createRaster } from '../../trainer/images/raster.ts';
import { pixelEdges, segmentGraph } from '../../trainer/propose/graphSegmentation.ts';
import { labOf } from '../../trainer/propose/lab.ts';
import { proposeBoxes } from '../../trainer/propose/proposeBoxes.ts';
import { overlapOf, RecallCount } from '../../trainer/propose/recall.ts';
import { UsageError } from '../../trainer/usageError.ts';
import { modelAt } from '../support/inspectClient.ts';
import { printed } from '../support/printed.ts';
import { tarMember, tarOf } from '../support/shards.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { tinyArchitecture, writeTinyModel } from '../support/trainingFixture.ts';

const [width, height] = [400, 300];
/** x, y, width, height and colour of what is in the test picture. */
const shapes: [ProposalBox, string][] = [
  [[40, 50, 100, 80], '#c03020'],
  [[220, 140, 120, 120], '#20a040'],
  [[260, 30, 60, 50], '#e0d020'],
];

async function writePicture(file: string): Promise<void> {
  const parts = shapes.map(([[left, top, w, h], background]) => ({
    input: { create: { width: w, height: h, channels: 3, background } } as const,
    left,
    top,
  }));
  await sharp({ create: { width, height, channels: 3, background: '#3050a0' } })
    .composite(parts)
    .png()
    .toFile(file);
}

interface Coco {
  images: { id: number; file_name: string; width: number; height: number }[];
  annotations: { image_id: number; category_id: number; bbox: ProposalBox; score?: number }[];
  categories: { id: number; name: string }[];
}
const readCoco = async (file: string): Promise<Coco> => JSON.parse(await readFile(file, 'utf8')) as Coco;

describe('proposed regions', () => {
  let folder: TemporaryFolder;
  before(async () => {
    folder = await temporaryFolder();
    await mkdir(folder.file('images/sub'), { recursive: true });
    await writePicture(folder.file('images/b.png'));
    await writePicture(folder.file('images/sub/a.png'));
    await writeFile(folder.file('images/broken.jpg'), 'no image');
    await writeTinyModel(folder.file('model'));
  });
  after(() => folder.remove());

  it('colours of CIE L*a*b*', () => {
    const { data } = labOf(Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0, 0), { width: 3, height: 1 });
    const expected = [100, 0, 0, 53.24, 80.09, 67.2, 0, 0, 0];
    expected.forEach((value, index) => {
      assert.ok(Math.abs(data[index]! - value) < 0.05, `${index}: ${data[index]} and ${value}`);
    });
  });

  it('segments are areas of one colour', () => {
    // Two halves and a dot that is too small to stay.
    const rgb = new Uint8Array(20 * 10 * 3);
    for (let pixel = 0; pixel < 200; pixel++) rgb.fill(pixel % 20 < 10 ? 40 : 200, pixel * 3, pixel * 3 + 3);
    rgb.fill(255, 65 * 3, 66 * 3);
    const { labels, count } = segmentGraph(pixelEdges(labOf(rgb, { width: 20, height: 10 })), 10, 5);
    assert.equal(count, 2);
    for (let pixel = 0; pixel < 200; pixel++) assert.equal(labels[pixel], pixel % 20 < 10 ? 0 : 1);
  });

  it('find what stands out, and repeat to the bit', async () => {
    const image = await decodeImage(folder.file('images/b.png'));
    const boxes = proposeBoxes(image, 10);
    assert.ok(boxes.length <= 10);
    for (const [shape] of shapes) {
      const best = Math.max(...boxes.map(box => overlapOf(cornersOf(box), cornersOf(shape))));
      assert.ok(best > 0.85, `${shape} overlaps ${best}`);
    }
    for (const [x, y, w, h] of boxes)
      assert.ok(x >= 0 && y >= 0 && w > 0 && h > 0 && x + w <= width && y + h <= height);
    assert.deepEqual(proposeBoxes(image, 10), boxes);
    assert.deepEqual(proposeBoxes(image, 3), boxes.slice(0, 3));
  });

  it('take an image of one colour, one pixel, one row, and grey ones', () => {
    for (const [w, h] of [
      [30, 20],
      [1, 1],
      [3000, 1],
    ] as const)
      for (const mode of ['L', 'RGB', 'RGBA'] as const)
        assert.deepEqual(proposeBoxes(createRaster(w, h, mode), 5)[0], [0, 0, w, h]);
  });

  it('recall counts true boxes that the first proposals find', () => {
    const count = new RecallCount([1, 2]);
    count.add(
      [
        [0, 0, 10, 10],
        [20, 20, 30, 30],
      ],
      [
        [1, 0, 10, 10],
        [20, 20, 30, 31],
        [50, 50, 60, 60],
        [0, 0, 10, 21],
      ],
    );
    assert.equal(count.truth, 4);
    assert.deepEqual(count.shares(), [
      { boxes: 1, recall: 0.25 },
      { boxes: 2, recall: 0.5 },
    ]);
  });

  it('clipself propose writes COCO-style JSON and tells the recall', async () => {
    const truth = {
      images: [
        { id: 5, file_name: 'b.png' },
        { id: 6, file_name: 'sub/a.png' },
      ],
      annotations: [
        ...shapes.map(([bbox]) => ({ image_id: 5, category_id: 1, bbox })),
        { image_id: 6, segments_info: [{ category_id: 2, bbox: [0, 0, width, height] }] },
        { image_id: 6, segments_info: [{ category_id: 1, bbox: [0, 0, 20, 20] }] },
        { image_id: 6, category_id: 1, bbox: [0, 0, 300, 300], iscrowd: 1 },
      ],
      categories: [
        { id: 1, name: 'thing' },
        { id: 2, name: 'wall', isthing: 0 },
      ],
    };
    await writeFile(folder.file('truth.json'), JSON.stringify(truth));
    const out = folder.file('proposals.json');
    const args = ['--images', folder.file('images'), '--out', out, '--count', '50'];
    const line = await printed(() =>
      proposeCommand([...args, '--truth', folder.file('truth.json'), '--json']),
    );
    const told = JSON.parse(line) as Record<string, { truth: number; recall: unknown }>;
    assert.deepEqual(told.things, {
      truth: 4,
      recall: [
        { boxes: 10, recall: 0.75 },
        { boxes: 50, recall: 0.75 },
      ],
    });
    assert.equal(told.stuff!.truth, 1);
    const { images, annotations, categories } = await readCoco(out);
    assert.deepEqual(
      images.map(({ file_name }) => file_name),
      ['b.png', 'sub/a.png'],
    );
    assert.deepEqual(categories, [{ id: 1, name: 'region' }]);
    const image = await decodeImage(folder.file('images/b.png'));
    assert.deepEqual(
      annotations.filter(({ image_id }) => image_id === images[0]!.id).map(({ bbox }) => bbox),
      proposeBoxes(image, 50).map(box => box.map(value => Math.round(value * 100) / 100)),
    );
    await assert.rejects(proposeCommand(['--images', folder.file('images')]), UsageError);
  });

  it('clipself propose writes the same with any number of threads, in the order of the images', async () => {
    const images = folder.file('many');
    await mkdir(images);
    // The first takes longest; one cannot be read.
    for (const [place, size] of [400, 90, 30, 200, 60, 10].entries())
      await sharp(folder.file('images/b.png')).resize(size).toFile(`${images}/${place}.png`);
    await writeFile(`${images}/4b.png`, 'no image');
    const written = async (threads: string): Promise<string> => {
      const out = folder.file(`of-${threads}-threads.json`);
      await printed(() => proposeCommand(['--images', images, '--out', out, '--threads', threads, '--json']));
      return readFile(out, 'utf8');
    };
    const one = await written('1');
    assert.deepEqual(
      (JSON.parse(one) as Coco).images.map(image => image.file_name),
      ['0.png', '1.png', '2.png', '3.png', '4.png', '5.png'],
    );
    assert.equal(await written('3'), one);
    assert.equal(await written('0'), one);
  });

  it('clipself propose writes the same for members of shards', async () => {
    const ofFolder = folder.file('of-folder.json');
    await printed(() => proposeCommand(['--images', folder.file('images'), '--out', ofFolder, '--json']));
    const ofShards = folder.file('of-shards.json');
    await writeShards();
    const args = ['--images', folder.file('{0,1}.tar'), '--out', ofShards, '--json'];
    const told = JSON.parse(await printed(() => proposeCommand(args))) as { images: number };
    assert.equal(told.images, 2);
    assert.deepEqual(await readCoco(ofShards), await readCoco(ofFolder));
    await writeFile(folder.file('2.tar'), tarOf(tarMember('b.png', Buffer.from('another'))));
    await assert.rejects(
      proposeCommand(['--images', folder.file('{0,1,2}.tar'), '--out', ofShards]),
      /2\.tar:b\.png: it has the name of .*0\.tar:b\.png/,
    );
  });

  /** The pictures of the folder in two shards, with a member that is no image. */
  async function writeShards(): Promise<void> {
    const [first, second] = await Promise.all(
      ['b.png', 'sub/a.png'].map(name => readFile(folder.file(`images/${name}`))),
    );
    const broken = tarMember('broken.jpg', Buffer.from('no image'));
    await writeFile(folder.file('0.tar'), tarOf(tarMember('b.png', first!), broken));
    await writeFile(folder.file('1.tar'), tarOf(tarMember('sub/a.png', second!)));
  }

  it('clipself pseudo-label names regions by their crops', async () => {
    const tower = await openReference(modelAt(folder.file('model')), 'auto', 1);
    const image = await decodeImage(folder.file('images/b.png'));
    // Nouns that are the crops of two of the shapes: each names its own.
    const corners = shapes.slice(0, 2).map(([[x, y, w, h]]) => {
      const [cx, cy] = [x + w / 2, y + h / 2];
      return [cx - w * 0.75, cy - h * 0.75, cx + w * 0.75, cy + h * 0.75] as const;
    });
    const nouns = await tower.features.crops(image, corners);
    await tower.dispose();
    await writeNpy(folder.file('nouns.npy'), {
      shape: [2, tinyArchitecture.embeddingDimension],
      data: nouns,
    });
    const boxes = {
      images: [{ id: 1, file_name: 'b.png' }],
      annotations: shapes.slice(0, 2).map(([bbox]) => ({ image_id: 1, bbox })),
    };
    await writeFile(folder.file('boxes.json'), JSON.stringify(boxes));
    await writeFile(folder.file('classes.json'), '[{"id": 9, "name": "barn"}, {"id": 4, "name": "fir"}]');
    const out = folder.file('labels.json');
    const args = ['--model', folder.file('model'), '--images', folder.file('images'), '--out', out, '--json'];
    args.push('--classes', folder.file('classes.json'), '--embeddings', folder.file('nouns.npy'));
    await printed(() =>
      pseudoLabelCommand([...args, '--boxes', folder.file('boxes.json'), '--threads', '1']),
    );
    const { annotations, categories } = await readCoco(out);
    // By id: the fir is the first noun.
    assert.deepEqual(
      categories.map(({ name }) => name),
      ['fir', 'barn'],
    );
    assert.deepEqual(
      annotations.map(({ bbox, category_id }) => [bbox, category_id]),
      [
        [shapes[0]![0], 4],
        [shapes[1]![0], 9],
      ],
    );
    assert.ok(annotations.every(({ score }) => score! > 0.5 && score! <= 1));
    const ofShards = folder.file('labels-of-shards.json');
    await writeShards();
    const shards = args.map(word =>
      word === out ? ofShards : word === folder.file('images') ? folder.file('*.tar') : word,
    );
    await rm(folder.file('2.tar'), { force: true });
    await printed(() =>
      pseudoLabelCommand([...shards, '--boxes', folder.file('boxes.json'), '--threads', '1']),
    );
    assert.deepEqual(await readCoco(ofShards), await readCoco(out));
    const least = [...args, '--boxes', folder.file('boxes.json'), '--least', '1'];
    await printed(() => pseudoLabelCommand(least));
    assert.equal((await readCoco(out)).annotations.length, 0);
    // Without a file the regions are proposed.
    await printed(() => pseudoLabelCommand([...args, '--count', '4']));
    assert.ok((await readCoco(out)).annotations.length > 4);
    await assert.rejects(pseudoLabelCommand(['--model', folder.file('model')]), UsageError);
  });
});
