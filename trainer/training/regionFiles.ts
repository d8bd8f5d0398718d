/** Boxes of many images from one JSON file, for training on them. */
import { FileError } from '../checkpoints/fileError.ts';
import { isJsonObject } from '../checkpoints/jsonFile.ts';
import type { ProposalBox } from '../distill/proposals.ts';
import { boxOf, CocoCategories, CocoImages } from '../evaluate/cocoFields.ts';
import { readJsonLists } from '../evaluate/jsonLists.ts';
import { NumberStore } from '../evaluate/numberStore.ts';
import { Breakage } from '../evaluate/regionData.ts';
import { pathUnder } from '../images/imageFolder.ts';
import { packRegions, type RegionStore } from '../images/regionStore.ts';
import { classesOfCategories, classesOfNames, type ListedClass } from '../text/classList.ts';

export interface RegionFile {
  /** Boxes by the position of their image in the run's files. */
  store: RegionStore;
  /** By category id, ascending; null where boxes have no classes or none are wanted. */
  classes: readonly ListedClass[] | null;
  /** SHA-256 of the file, hex. */
  sha256: string;
}

export interface RegionFileRequest {
  file: string;
  /** Folder that the names in the file are relative to. */
  imageRoot: string;
  /** The images of the run, absolute paths; boxes of others are left out. */
  images: readonly string[];
  /** Whether boxes must have classes. */
  labelled: boolean;
}

/** 30 million boxes: 250 for each image of COCO's training part. They take 2.5 GB while they are read. */
const mostBoxes = 30_000_000;
/** Pixels beyond this are in no image that can be decoded. */
const farthest = 100_000;
const advice = 'Correct the file, or choose another one';

/** Boxes as they are read: image, box and category, packed. */
class ReadBoxes {
  static readonly #fields = 6;
  readonly #numbers = new NumberStore();
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  get count(): number {
    return this.#numbers.length / ReadBoxes.#fields;
  }

  add(image: number, box: ProposalBox, category: number, index: number): void {
    if (this.count >= mostBoxes)
      throw new FileError(this.#file, `it holds more than ${mostBoxes} boxes`, 'Keep the best of each image');
    if (!box.every(value => Math.abs(value) <= farthest))
      throw new FileError(this.#file, `box ${index} lies outside of any image`, advice);
    this.#numbers.append([image, ...box, category]);
  }

  *all(): Generator<{ image: number; box: ProposalBox; category: number }> {
    for (let place = 0; place < this.count; place++) {
      const [image, x, y, width, height, category] = this.#numbers.slice(
        place * ReadBoxes.#fields,
        ReadBoxes.#fields,
      ) as [number, number, number, number, number, number];
      yield { image, box: [x, y, width, height], category };
    }
  }
}

/**
 * Reads the boxes of COCO-style annotations in their order, crowds included, as the published data sets do. Memory
 * holds the boxes alone.
 *
 * @throws FileError naming what is broken.
 */
export async function readCocoRegions(request: RegionFileRequest): Promise<RegionFile> {
  const { file, labelled } = request;
  const images = new CocoImages(file, new Breakage(file, false, advice));
  const categories = new CocoCategories(file);
  const boxes = new ReadBoxes(file);
  const lists = await readJsonLists(file, {
    images: images.receive,
    ...(labelled ? { categories: categories.receive } : {}),
    annotations: (item, index) => {
      const { image_id: image, category_id: category = -1, bbox } = isJsonObject(item) ? item : {};
      const box = boxOf(bbox);
      if (!box || ![image, category].every(Number.isSafeInteger))
        throw new FileError(file, `annotations[${index}] has no image_id and bbox of four numbers`, advice);
      boxes.add(image as number, box, category as number, index);
    },
  });
  requireWhole(file, lists.damage);
  images.require();
  const places = placesOf(request, images.byId);
  const { classes, positions } = labelled ? categories.finish() : { classes: null, positions: null };
  for (const { image, category } of boxes.all()) {
    if (!images.byId.has(image))
      throw new FileError(file, `an annotation belongs to image ${image}, which is not in “images”`, advice);
    if (positions && !positions.has(category))
      throw new FileError(
        file,
        `an annotation has the category ${category}, which is not in “categories”`,
        advice,
      );
  }
  const store = packed(
    request,
    boxes,
    image => places.get(image),
    category => positions?.get(category) ?? -1,
  );
  return { store, classes, sha256: lists.sha256 };
}

/**
 * Reads `{"boxes": [{"image": "a.jpg", "box": [x0, y0, x1, y1], "class": "cat"}, …], "classes": ["cat", …]}`, corners
 * in pixels of the file; classes only where they are wanted.
 *
 * @throws FileError naming what is broken.
 */
export async function readPlainRegions(request: RegionFileRequest): Promise<RegionFile> {
  const { file, labelled } = request;
  const names = new Map<string, number>();
  const classNames = new Map<string, number>();
  const entries: unknown[] = [];
  const boxes = new ReadBoxes(file);
  const numberOf = (name: string, known: Map<string, number>): number => {
    const number = known.get(name) ?? known.size;
    known.set(name, number);
    return number;
  };
  const lists = await readJsonLists(file, {
    classes: item => {
      entries.push(item);
    },
    boxes: (item, index) => {
      const { image, box, class: name } = isJsonObject(item) ? item : {};
      const corners = Array.isArray(box) && box.length === 4 && box.every(Number.isFinite) ? box : null;
      if (typeof image !== 'string' || image === '' || image.includes('\0') || !corners)
        throw new FileError(file, `boxes[${index}] has no image and box of four numbers`, advice);
      if (labelled && typeof name !== 'string')
        throw new FileError(file, `boxes[${index}] has no class`, advice);
      const [x0, y0, x1, y1] = corners as [number, number, number, number];
      const category = labelled ? numberOf(name as string, classNames) : -1;
      boxes.add(numberOf(image, names), [x0, y0, x1 - x0, y1 - y0], category, index);
    },
  });
  requireWhole(file, lists.damage);
  const places = placesOf(request, new Map([...names].map(([name, number]) => [number, { file: name }])));
  const classes = labelled ? plainClasses(entries, file) : null;
  const positions = new Map<number, number>();
  for (const [name, number] of classNames) {
    const position = classes!.findIndex(entry => entry.name === name);
    if (position < 0)
      throw new FileError(file, `a box has the class '${name}', which is not in “classes”`, advice);
    positions.set(number, position);
  }
  const store = packed(
    request,
    boxes,
    image => places.get(image),
    category => positions.get(category) ?? -1,
  );
  return { store, classes, sha256: lists.sha256 };
}

const plainClasses = (entries: readonly unknown[], file: string): ListedClass[] =>
  entries.every(entry => typeof entry === 'string')
    ? classesOfNames(entries, file)
    : classesOfCategories(entries, file);

function requireWhole(file: string, damage: string | null): void {
  if (damage !== null) throw new FileError(file, `it is not valid JSON: ${damage}`, advice);
}

/** Position of each known image among the run's; names that leave the folder are refused. */
function placesOf(
  { file, imageRoot, images }: RegionFileRequest,
  named: ReadonlyMap<number, { file: string }>,
): ReadonlyMap<number, number> {
  const positions = new Map(images.map((path, position) => [path, position]));
  const places = new Map<number, number>();
  for (const [id, { file: name }] of named) {
    const position = positions.get(pathUnder(imageRoot, name, file));
    if (position !== undefined) places.set(id, position);
  }
  if (places.size > 0) return places;
  throw new FileError(
    file,
    `it names none of the ${images.length} images in ${imageRoot}`,
    'Names are relative to the image folder: choose that folder as --images',
  );
}

function packed(
  { images, labelled }: RegionFileRequest,
  boxes: ReadBoxes,
  placeOf: (image: number) => number | undefined,
  labelOf: (category: number) => number,
): RegionStore {
  return packRegions(images.length, labelled, function* () {
    for (const { image, box, category } of boxes.all()) {
      const place = placeOf(image);
      if (place !== undefined) yield { image: place, box, label: labelOf(category) };
    }
  });
}
