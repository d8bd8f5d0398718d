import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { makeDirectories, writeText } from '../checkpoints/atomicFile.ts';
import { FileError, naming } from '../checkpoints/fileError.ts';
import { keyedRandom } from '../random.ts';
import { version } from '../version.ts';
import { attribution } from './attribution.ts';
import { captionOf } from './captions.ts';
import { worldClasses } from './classes.ts';
import { loadStyles } from './icons.ts';
import { encodeJpeg } from './jpeg.ts';
import { paintScene, type Scene, type SceneSettings } from './scene.ts';
import type { StyleName } from './styles.ts';
import { cocoBox, panopticPixels, runLengths, type VisibleSegment, visibleSegments } from './truth.ts';

export interface WorldRequest extends SceneSettings {
  seed: number;
  count: number;
  styles: readonly StyleName[];
  /** Things of a scene, at least and at most. */
  fewestThings: number;
  mostThings: number;
}

export interface WriteWorldOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((done: number) => void) | undefined;
}

/** A scene of a world: everything about it follows from the seed and its index. */
async function worldScene(
  request: WorldRequest,
  index: number,
): Promise<{ scene: Scene; style: StyleName; jpeg: Buffer; caption: string; visible: VisibleSegment[] }> {
  const { seed, styles, fewestThings, mostThings } = request;
  const random = keyedRandom(seed, 'scene', index);
  const style = styles[random.uint(styles.length)]!;
  const sprites = (await loadStyles([style])).get(style)!;
  const things = random.shuffle([...sprites.keys()]);
  const count = fewestThings + random.uint(mostThings - fewestThings + 1);
  const scene = paintScene(random, sprites, things.slice(0, count), request);
  const visible = visibleSegments(scene);
  const caption = captionOf(visible, random);
  return { scene, style, visible, caption, jpeg: await encodeJpeg(scene, random) };
}

/** The lists of COCO's JSON files. */
class Annotations {
  readonly images: object[] = [];
  readonly panoptic: object[] = [];
  readonly instances: object[] = [];
  readonly captions: object[] = [];

  add(index: number, found: Awaited<ReturnType<typeof worldScene>>): void {
    const { scene, style, caption, visible } = found;
    const id = index + 1;
    const { width, height } = scene;
    this.images.push({ id, file_name: `${stem(index)}.jpg`, width, height, style });
    this.panoptic.push({
      image_id: id,
      file_name: `${stem(index)}.png`,
      segments_info: visible.map(segment => ({
        id: segment.id,
        category_id: segment.category,
        area: segment.area,
        bbox: cocoBox(segment.box),
        iscrowd: 0,
      })),
    });
    for (const { id: segment, category, area, box, isThing } of visible)
      if (isThing)
        this.instances.push({
          id: this.instances.length + 1,
          image_id: id,
          category_id: category,
          area,
          bbox: cocoBox(box),
          iscrowd: 0,
          segmentation: runLengths(scene, segment),
        });
    this.captions.push({ id, image_id: id, caption });
  }
}

/**
 * Writes a data set: `images/*.jpg`, `panoptic.json` with `panoptic/*.png`, `instances.json`, `captions.json` and
 * `ATTRIBUTION.md`. The same request gives the same bytes.
 *
 * @param directory New or empty.
 * @throws FileError when it holds anything or cannot be written; IconError; the signal's reason.
 */
export async function writeWorld(
  directory: string,
  request: WorldRequest,
  { signal, onProgress }: WriteWorldOptions = {},
): Promise<void> {
  await naming(directory, 'write', () => makeEmpty(directory));
  const annotations = new Annotations();
  for (let index = 0; index < request.count; index++) {
    signal?.throwIfAborted();
    const found = await worldScene(request, index);
    annotations.add(index, found);
    const { width, height } = found.scene;
    const raw = { width, height, channels: 3 } as const;
    const png = await sharp(panopticPixels(found.scene, found.visible), { raw }).png().toBuffer();
    const image = path.join(directory, 'images', `${stem(index)}.jpg`);
    const mask = path.join(directory, 'panoptic', `${stem(index)}.png`);
    await naming(image, 'write', () => writeFile(image, found.jpeg));
    await naming(mask, 'write', () => writeFile(mask, png));
    onProgress?.(index + 1);
  }
  await writeLists(directory, request, annotations);
}

async function makeEmpty(directory: string): Promise<void> {
  await makeDirectories(directory);
  if ((await readdir(directory)).length > 0)
    throw new FileError(directory, 'it is not empty', 'Choose a new folder for the data set');
  for (const name of ['images', 'panoptic']) await makeDirectories(path.join(directory, name));
}

async function writeLists(directory: string, request: WorldRequest, annotations: Annotations): Promise<void> {
  const { images, panoptic, instances, captions } = annotations;
  const info = { description: 'Emoji World', version, ...request };
  const categories = worldClasses.map(({ name, group, isThing }, index) => ({
    id: index + 1,
    name,
    supercategory: group,
    isthing: Number(isThing),
  }));
  const things = categories.filter(({ isthing }) => isthing === 1);
  // Without indentation: run lengths are long lists of numbers.
  const write = (name: string, content: object) =>
    writeText(path.join(directory, name), JSON.stringify(content));
  await write('panoptic.json', { info, images, annotations: panoptic, categories });
  await write('instances.json', { info, images, annotations: instances, categories: things });
  await write('captions.json', { info, images, annotations: captions });
  await writeText(path.join(directory, 'ATTRIBUTION.md'), attribution(request.styles, 'pictures'));
}

const stem = (index: number): string => String(index + 1).padStart(6, '0');
