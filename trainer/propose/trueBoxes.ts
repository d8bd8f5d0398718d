import { FileError } from '../checkpoints/fileError.ts';
import { isJsonObject } from '../checkpoints/jsonFile.ts';
import { boxOf, CocoImages } from '../evaluate/cocoFields.ts';
import { readJsonLists } from '../evaluate/jsonLists.ts';
import { Breakage } from '../evaluate/regionData.ts';

type Corners = [number, number, number, number];

/** Annotated boxes of an image, objects and background apart. */
export interface TrueBoxes {
  things: Corners[];
  stuff: Corners[];
}

const advice = 'Choose COCO panoptic or instance annotations';

/** Smaller boxes are left out, as in the evaluation of regions. */
const leastArea = 64;

/**
 * Boxes of COCO annotations, panoptic or instances, by the image's file name. Crowds are left out.
 *
 * @throws FileError when it is damaged or holds no boxes.
 */
export async function readTrueBoxes(file: string): Promise<ReadonlyMap<string, TrueBoxes>> {
  const images = new CocoImages(file, new Breakage(file, false, advice));
  const stuffCategories = new Set<unknown>();
  const found: { image: unknown; category: unknown; box: Corners }[] = [];
  const add = (image: unknown, segment: unknown): void => {
    const { bbox, category_id: category, iscrowd } = isJsonObject(segment) ? segment : {};
    const box = boxOf(bbox);
    if (!box || iscrowd === 1 || box[2] * box[3] < leastArea) return;
    found.push({ image, category, box: [box[0], box[1], box[0] + box[2], box[1] + box[3]] });
  };
  const lists = await readJsonLists(file, {
    images: images.receive,
    categories: item => {
      if (isJsonObject(item) && item.isthing === 0) stuffCategories.add(item.id);
    },
    annotations: item => {
      if (!isJsonObject(item)) return;
      if (Array.isArray(item.segments_info))
        for (const segment of item.segments_info) add(item.image_id, segment);
      else add(item.image_id, item);
    },
  });
  if (lists.damage !== null) throw new FileError(file, `it is not valid JSON: ${lists.damage}`, advice);
  images.require();
  const boxes = new Map<string, TrueBoxes>();
  for (const { image, category, box } of found) {
    const name = images.byId.get(image as number)?.file;
    if (name === undefined) continue;
    const own = boxes.get(name) ?? { things: [], stuff: [] };
    (stuffCategories.has(category) ? own.stuff : own.things).push(box);
    boxes.set(name, own);
  }
  if (boxes.size === 0) throw new FileError(file, 'it holds no boxes', advice);
  return boxes;
}
