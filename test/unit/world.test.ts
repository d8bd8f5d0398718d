import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { maskBounds, maskOfRunLengths } from '../../trainer/dense/cocoMask.ts';
import { readCocoInstances } from '../../trainer/evaluate/cocoInstances.ts';
import { readCocoPanoptic } from '../../trainer/evaluate/cocoPanoptic.ts';
import { readSegmentMap, segmentExtents } from '../../trainer/evaluate/regionMasks.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { stuffClasses, thingClasses, worldClasses } from '../../trainer/world/classes.ts';
import { colourMatrix } from '../../trainer/world/colour.ts';
import { type Canvas, drawSprite } from '../../trainer/world/drawSprite.ts';
import { loadStyle } from '../../trainer/world/icons.ts';
import { paintScene, sceneDefaults } from '../../trainer/world/scene.ts';
import { spriteOf } from '../../trainer/world/sprite.ts';
import { heldOutStyles, iconStyles, styleNames, trainingStyles } from '../../trainer/world/styles.ts';
import { visibleSegments } from '../../trainer/world/truth.ts';
import { type WorldRequest, writeWorld } from '../../trainer/world/writeWorld.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const request: WorldRequest = {
  ...sceneDefaults,
  longestSide: 120,
  seed: 5,
  count: 6,
  styles: ['noto', 'fxemoji'],
  fewestThings: 5,
  mostThings: 9,
};

/** Hash of every file below a folder. */
async function hashes(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    found[path.relative(folder, file)] = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
  }
  return found;
}

const readList = async (file: string) => JSON.parse(await readFile(file, 'utf8'));

describe('classes and styles of Emoji World', () => {
  it('are 64 things and 14 stuffs of different names', () => {
    assert.equal(thingClasses.length, 64);
    assert.equal(stuffClasses.length, 14);
    assert.equal(new Set(worldClasses.map(({ name }) => name)).size, 78);
  });

  it('every style draws its icons, at least three training styles and the held-out one every class', async function () {
    this.timeout(60_000);
    for (const style of styleNames) {
      const sprites = await loadStyle(style);
      const expected = thingClasses.filter(({ icons }) => icons[style]).length;
      assert.equal(sprites.size, expected, style);
    }
    for (const { name, icons } of thingClasses) {
      assert.ok(trainingStyles.filter(style => icons[style]).length >= 3, name);
      assert.ok(
        heldOutStyles.every(style => icons[style]),
        name,
      );
    }
  });

  it('the licences are those that the packages state', async () => {
    for (const style of styleNames) {
      const info = await readList(path.join('node_modules', iconStyles[style].package, 'info.json'));
      assert.equal(info.license.spdx, iconStyles[style].licence, style);
    }
  });
});

describe('drawing a sprite', () => {
  const canvasOf = (side: number): Canvas => ({
    width: side,
    height: side,
    rgb: new Uint8Array(side * side * 3).fill(100),
    ids: new Uint8Array(side * side),
  });
  const opaque = (side: number): Uint8Array => {
    const pixels = new Uint8Array(side * side * 4);
    for (let pixel = 0; pixel < side * side; pixel++) pixels.set([200, 40, 20, 255], pixel * 4);
    return pixels;
  };
  const plain = colourMatrix(0, 1, 1);

  it('owns the pixels that it covers, in its colours', () => {
    const canvas = canvasOf(40);
    const pose = { x: 20, y: 18, across: 16, down: 16, angle: 0, mirrored: false };
    const owned = drawSprite(canvas, spriteOf(opaque(32), 32, 32), pose, plain, 7);
    assert.equal(owned, 16 * 16);
    assert.equal(canvas.ids.filter(id => id === 7).length, 16 * 16);
    assert.equal(canvas.ids[10 * 40 + 12], 7);
    assert.equal(canvas.ids[9 * 40 + 12], 0);
    const middle = (18 * 40 + 20) * 3;
    assert.deepEqual([...canvas.rgb.subarray(middle, middle + 3)], [200, 40, 20]);
    assert.equal(canvas.rgb[0], 100);
  });

  it('keeps its area when it is turned, and leaves out what is beyond the frame', () => {
    const turned = canvasOf(60);
    const pose = { x: 30, y: 30, across: 24, down: 24, angle: 0.6, mirrored: true };
    const sprite = spriteOf(opaque(32), 32, 32);
    assert.ok(Math.abs(drawSprite(turned, sprite, pose, plain, 1) - 24 * 24) < 20);
    const cut = canvasOf(60);
    assert.equal(drawSprite(cut, sprite, { ...pose, x: 0, angle: 0 }, plain, 1), 12 * 24);
  });

  it('refuses an icon that draws nothing', () => {
    assert.throws(() => spriteOf(new Uint8Array(16), 2, 2), /draws nothing/);
  });
});

describe('a scene', () => {
  it('gives every pixel to a segment, hides nothing that is in front, and counts what can be seen', async () => {
    const sprites = await loadStyle('noto');
    for (let index = 0; index < 8; index++) {
      const random = keyedRandom(9, index);
      const things = random.shuffle([...sprites.keys()]).slice(0, 10);
      const scene = paintScene(random, sprites, things, sceneDefaults);
      assert.equal(Math.max(scene.width, scene.height), sceneDefaults.longestSide);
      const visible = visibleSegments(scene);
      const areas = new Map<number, number>();
      for (const id of scene.ids) areas.set(id, (areas.get(id) ?? 0) + 1);
      assert.ok(!areas.has(0));
      for (const { id, area, visible: share } of visible) {
        assert.equal(area, areas.get(id));
        assert.ok(share > 0 && share <= 1, `segment ${id} shows ${share}`);
      }
      const last = scene.segments.at(-1)!;
      const front = visible.find(({ id }) => id === last.id);
      if (front?.box.every((edge, at) => edge > 0 && edge < [999, 999, scene.width, scene.height][at]!))
        assert.ok(front.visible > 0.9, `the thing in front shows ${front.visible}`);
    }
  });
});

describe('a written world', () => {
  let folder: TemporaryFolder;
  before(async () => {
    folder = await temporaryFolder();
  });
  after(() => folder.remove());

  it('has the same bytes for the same seed, and others for another', async function () {
    this.timeout(60_000);
    const [a, b, c] = ['a', 'b', 'c'].map(name => folder.file(name)) as [string, string, string];
    await writeWorld(a, request);
    await writeWorld(b, request);
    await writeWorld(c, { ...request, seed: 6 });
    const first = await hashes(a);
    assert.equal(Object.keys(first).length, 2 * request.count + 4);
    assert.deepEqual(await hashes(b), first);
    assert.notEqual((await hashes(c))['images/000001.jpg'], first['images/000001.jpg']);
    await assert.rejects(writeWorld(a, request), /not empty/);
  });

  it('opens with the readers of the evaluation, which measure the same boxes and areas', async function () {
    this.timeout(60_000);
    const world = folder.file('read');
    await writeWorld(world, request);
    const panoptic = await readCocoPanoptic(path.join(world, 'panoptic.json'), false);
    const instances = await readCocoInstances(path.join(world, 'instances.json'), false);
    assert.deepEqual(
      panoptic.classes.map(({ name, isThing }) => [name, isThing]),
      worldClasses.map(({ name, isThing }) => [name, isThing]),
    );
    assert.equal(panoptic.images.length, request.count);
    for (const [index, { file, maskFile, regions }] of panoptic.images.entries()) {
      const extents = segmentExtents(await readSegmentMap(path.join(world, 'panoptic', maskFile!)));
      for (const { segment, box } of regions) {
        const [x, y, width, height] = box!;
        const { left, top, right, bottom } = extents.get(segment)!;
        // The reader's last columns and rows belong to the segment.
        const measured = [left, top, right + 1, bottom + 1];
        assert.deepEqual(measured, [x, y, x + width, y + height], `segment ${segment} of ${file}`);
      }
      const things = regions.filter(region => panoptic.classes[region.class]!.isThing);
      const own = instances.images[index]!;
      assert.deepEqual(
        own.regions.map(({ box }) => box),
        things.map(({ box }) => box),
      );
    }
  });

  it('tells the truth in all formats', async function () {
    this.timeout(60_000);
    const world = folder.file('world');
    await writeWorld(world, request);
    const panoptic = await readList(path.join(world, 'panoptic.json'));
    const instances = await readList(path.join(world, 'instances.json'));
    const captions = await readList(path.join(world, 'captions.json'));
    assert.equal(panoptic.categories.length, 78);
    assert.equal(instances.categories.length, 64);
    assert.equal(captions.annotations.length, request.count);
    for (const [index, image] of panoptic.images.entries()) {
      assert.ok(request.styles.includes(image.style));
      const jpeg = await sharp(path.join(world, 'images', image.file_name)).metadata();
      assert.deepEqual([jpeg.width, jpeg.height], [image.width, image.height]);
      const { file_name: mask, segments_info: segments } = panoptic.annotations[index];
      const { data, info } = await sharp(path.join(world, 'panoptic', mask))
        .raw()
        .toBuffer({ resolveWithObject: true });
      assert.deepEqual([info.width, info.height, info.channels], [image.width, image.height, 3]);
      const own = instances.annotations.filter((item: { image_id: number }) => item.image_id === image.id);
      const known = new Map<number, { area: number; bbox: number[]; category_id: number }>(
        segments.map((segment: { id: number }) => [segment.id, segment]),
      );
      const things = [...known.values()].filter(({ category_id: id }) => worldClasses[id - 1]!.isThing);
      assert.deepEqual(
        own.map((item: { category_id: number; area: number }) => [item.category_id, item.area]),
        things.map(item => [item.category_id, item.area]),
      );
      for (const [id, { area, bbox }] of known) {
        const pixels = Uint8Array.from({ length: image.width * image.height }, (_, pixel) =>
          Number(data[3 * pixel]! + 256 * data[3 * pixel + 1]! + 65536 * data[3 * pixel + 2]! === id),
        );
        assert.equal(
          pixels.reduce((sum, inside) => sum + inside, 0),
          area,
        );
        const [x, y, width, height] = bbox as [number, number, number, number];
        const bounds = maskBounds({ width: image.width, height: image.height, pixels });
        assert.deepEqual(bounds, [x, y, x + width, y + height]);
        const thing = own.find((item: { bbox: number[] }) => item.bbox.join() === bbox.join());
        if (thing) assert.deepEqual(maskOfRunLengths(thing.segmentation).pixels, pixels);
        else assert.ok(!worldClasses[known.get(id)!.category_id - 1]!.isThing);
      }
      const { caption } = captions.annotations[index];
      for (const { category_id: id } of known.values())
        assert.ok(caption.includes(worldClasses[id - 1]!.name));
    }
    const text = await readFile(path.join(world, 'ATTRIBUTION.md'), 'utf8');
    for (const style of request.styles) assert.ok(text.includes(iconStyles[style].package));
  });
});
