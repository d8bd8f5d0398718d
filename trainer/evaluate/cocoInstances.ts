import { isJsonObject } from '../checkpoints/jsonFile.ts';
import { type CocoSegmentation, isRunLengths, parseSegmentation } from '../dense/cocoMask.ts';
import { boxOf, CocoCategories, type CocoImage, CocoImages, reportDamage } from './cocoFields.ts';
import { readJsonLists } from './jsonLists.ts';
import { NumberStore } from './numberStore.ts';
import {
  type AnnotatedImage,
  type AnnotatedRegion,
  Breakage,
  type CornerAndSize,
  countSkipped,
  mostRegions,
  type RegionData,
  type SkipBroken,
  tooManyRegions,
} from './regionData.ts';

/** What an object's mask is stored as. */
const stored = { none: 0, polygons: 1, counts: 2, text: 3 } as const;

interface StoredObject {
  segment: number;
  category: number;
  box: CornerAndSize | null;
  segmentation: CocoSegmentation | null;
}

/** Objects packed: those of COCO's training part are 860,000 with 40 million coordinates. */
class ObjectStore {
  readonly #numbers = new NumberStore();
  /** Run lengths as compressed text. */
  readonly #texts: string[] = [];

  /** @returns where it is. */
  add({ segment, category, box, segmentation }: StoredObject): number {
    const place = this.#numbers.length;
    this.#numbers.append([segment, category, box ? 1 : 0]);
    this.#numbers.append(box ?? [0, 0, 0, 0]);
    this.#pack(segmentation);
    return place;
  }

  categoryOf(place: number): number {
    return this.#numbers.at(place + 1);
  }

  get(place: number): StoredObject {
    const [segment, category, hasBox, x, y, width, height] = this.#numbers.slice(place, 7) as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const box: CornerAndSize | null = hasBox === 1 ? [x, y, width, height] : null;
    return { segment, category, box, segmentation: this.#unpacked(place + 7) };
  }

  #pack(segmentation: CocoSegmentation | null): void {
    if (segmentation === null) this.#numbers.append([stored.none]);
    else if (!isRunLengths(segmentation)) {
      this.#numbers.append([stored.polygons, segmentation.length]);
      for (const polygon of segmentation) {
        this.#numbers.append([polygon.length]);
        this.#numbers.append(polygon);
      }
    } else if (typeof segmentation.counts === 'string') {
      const place = this.#texts.push(segmentation.counts) - 1;
      this.#numbers.append([stored.text, ...segmentation.size, place]);
    } else {
      this.#numbers.append([stored.counts, ...segmentation.size, segmentation.counts.length]);
      this.#numbers.append(segmentation.counts);
    }
  }

  #unpacked(place: number): CocoSegmentation | null {
    const kind = this.#numbers.at(place);
    if (kind === stored.none) return null;
    if (kind === stored.polygons) {
      const polygons: number[][] = [];
      let next = place + 2;
      for (let left = this.#numbers.at(place + 1); left > 0; left--) {
        const length = this.#numbers.at(next);
        polygons.push(this.#numbers.slice(next + 1, length));
        next += 1 + length;
      }
      return polygons;
    }
    const size: [number, number] = [this.#numbers.at(place + 1), this.#numbers.at(place + 2)];
    const last = this.#numbers.at(place + 3);
    return {
      size,
      counts: kind === stored.text ? this.#texts[last]! : this.#numbers.slice(place + 4, last),
    };
  }
}

/** An image whose objects are unpacked when they are asked for. */
class InstanceImage implements AnnotatedImage {
  readonly file: string;
  readonly stated: AnnotatedImage['stated'];
  readonly maskFile = null;
  readonly #objects: ObjectStore;
  readonly #places: readonly number[];
  readonly #positions: ReadonlyMap<number, number>;

  constructor(
    { file, stated }: CocoImage,
    objects: ObjectStore,
    places: readonly number[],
    positions: ReadonlyMap<number, number>,
  ) {
    this.file = file;
    this.stated = stated;
    this.#objects = objects;
    this.#places = places;
    this.#positions = positions;
  }

  get regions(): AnnotatedRegion[] {
    return this.#places.map(place => {
      const { segment, category, box, segmentation } = this.#objects.get(place);
      return { segment, class: this.#positions.get(category)!, box, segmentation };
    });
  }
}

/**
 * Reads COCO instances: boxes with polygons or run lengths. Crowds are left out, as COCO's own evaluation does.
 *
 * @param skipBroken Leaves out what is broken, and counts it.
 * @returns Images that have objects, in the order of the file; of each the first hundred objects.
 * @throws FileError naming what is broken.
 */
export async function readCocoInstances(file: string, skipBroken: SkipBroken): Promise<RegionData> {
  const breakage = new Breakage(file, skipBroken);
  const images = new CocoImages(file, breakage);
  const categories = new CocoCategories(file);
  const objects = new ObjectStore();
  const placesOf = new Map<number, number[]>();
  const categoriesSeen = new Map<number, number>();
  const add = (item: unknown, index: number): void => {
    const { iscrowd: crowd, image_id: image } = isJsonObject(item) ? item : {};
    const places = placesOf.get(image as number) ?? [];
    if (crowd === 1 || places.length >= mostRegions) {
      countSkipped(breakage.counts, crowd === 1 ? 'crowd' : tooManyRegions);
      return;
    }
    const object = objectOf(item, index, breakage);
    if (!object) return;
    categoriesSeen.set(object.category, object.segment);
    places.push(objects.add(object));
    placesOf.set(image as number, places);
  };
  const lists = await readJsonLists(file, {
    images: images.receive,
    categories: categories.receive,
    annotations: add,
  });
  reportDamage(lists, breakage);
  images.require();
  const { classes, positions } = categories.finish();
  for (const [category, segment] of categoriesSeen)
    if (!positions.has(category))
      breakage.report(
        'unknown category',
        `annotation ${segment} has the category ${category}, which is not in “categories”`,
      );
  for (const [image, places] of placesOf) {
    if (!images.byId.has(image)) {
      breakage.report('unknown image', `annotations belong to image ${image}, which is not in “images”`);
      placesOf.delete(image);
      continue;
    }
    const known = places.filter(place => positions.has(objects.categoryOf(place)));
    if (known.length < places.length) placesOf.set(image, known);
  }
  const inOrder = [...images.byId.values()].flatMap(image => {
    const places = placesOf.get(image.id);
    return places ? [new InstanceImage(image, objects, places, positions)] : [];
  });
  return { annotations: file, sha256: lists.sha256, classes, images: inOrder, skipped: breakage.counts };
}

function objectOf(item: unknown, index: number, breakage: Breakage): StoredObject | null {
  const {
    id = index,
    image_id: image,
    category_id: category,
    bbox,
    segmentation,
  } = isJsonObject(item) ? item : {};
  const box = boxOf(bbox);
  const ids = [id, image, category].every(Number.isSafeInteger);
  const hasMask =
    segmentation !== undefined &&
    segmentation !== null &&
    !(Array.isArray(segmentation) && segmentation.length === 0);
  if (!ids || (!box && !hasMask)) {
    breakage.report(
      'annotation broken',
      `annotations[${index}] has no image_id, category_id and bbox as instances have`,
    );
    return null;
  }
  try {
    const mask = hasMask ? parseSegmentation(segmentation) : null;
    return { segment: id as number, category: category as number, box, segmentation: mask };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    breakage.report('mask broken', `annotation ${id as number}: ${reason}`);
    return null;
  }
}
