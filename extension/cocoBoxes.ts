import path from 'node:path';
import { FileError } from '../trainer/checkpoints/fileError.ts';
import { isJsonObject } from '../trainer/checkpoints/jsonFile.ts';
import {
  type CocoSegmentation,
  isRunLengths,
  maskBounds,
  maskOfRunLengths,
  parseSegmentation,
} from '../trainer/dense/cocoMask.ts';
import { type ReadingOptions, readJsonLists } from '../trainer/evaluate/jsonLists.ts';
import { type Box, type LoadedBoxes, MAXIMUM_REGIONS } from '../webview/inspector/protocol/requests.ts';

/** Videos may have a frame of the same name each. */
const mostImages = 10_000;
/** Names of further categories are not kept; data sets have a few thousand at most. */
const mostCategories = 50_000;

const advice = 'Choose the annotations of this image';

type Entry = Readonly<Record<string, unknown>>;

const fieldsOf = (value: unknown): Entry => (isJsonObject(value) ? value : {});

/** COCO's [x, y, width, height] as corners; null when it is none or empty. */
function boxOf(value: unknown): Box | null {
  if (!Array.isArray(value) || value.length !== 4) return null;
  const [x, y, width, height] = value as unknown[];
  if (typeof x !== 'number' || typeof y !== 'number') return null;
  if (typeof width !== 'number' || typeof height !== 'number') return null;
  if (!(width > 0 && height > 0 && Number.isFinite(x + y + width + height))) return null;
  return [x, y, x + width, y + height];
}

/** Polygons or run lengths of an annotation, decoded once to be sure of them; null where it has none. */
function maskOf(value: unknown): CocoSegmentation | null {
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return null;
  const segmentation = parseSegmentation(value);
  if (isRunLengths(segmentation)) maskOfRunLengths(segmentation);
  return segmentation;
}

/** The smallest box around a mask; null when it covers nothing. */
function boundsOf(segmentation: CocoSegmentation): Box | null {
  if (isRunLengths(segmentation)) return maskBounds(maskOfRunLengths(segmentation));
  const corners = segmentation.flat();
  const along = (axis: number): number[] => corners.filter((_, index) => index % 2 === axis);
  const [xs, ys] = [along(0), along(1)];
  return boxOf([
    Math.min(...xs),
    Math.min(...ys),
    Math.max(...xs) - Math.min(...xs),
    Math.max(...ys) - Math.min(...ys),
  ]);
}

/** @throws FileError naming the annotation when its mask is damaged. */
function shapeOf(file: string, entry: Entry): { box: Box | null; mask: CocoSegmentation | null } {
  try {
    const mask = maskOf(entry.segmentation);
    return { box: boxOf(entry.bbox) ?? (mask && entry.bbox === undefined ? boundsOf(mask) : null), mask };
  } catch (error) {
    const name = entry.id === undefined ? 'an annotation' : `annotation ${JSON.stringify(entry.id)}`;
    const reason = error instanceof Error ? error.message : String(error);
    throw new FileError(file, `${name}: ${reason}`, 'Choose another file');
  }
}

/** Finds what belongs to one image among the entries of annotations. */
class BoxesOfImage {
  readonly #file: string;
  readonly #name: string;
  readonly #ids = new Set<unknown>();
  readonly #labels = new Map<unknown, string>();
  #found: { box: Box; mask: CocoSegmentation | null; category: unknown }[] = [];
  #total = 0;
  #hasAnnotations = false;
  #isIncomplete = false;

  constructor(file: string, name: string) {
    this.#file = file;
    this.#name = name;
  }

  /** Annotations came before the image that they may belong to: they must be read again. */
  get isIncomplete(): boolean {
    return this.#isIncomplete;
  }

  /** The annotations are read again, now that the image is known. */
  startAgain(): void {
    this.#found = [];
    this.#total = 0;
    this.#hasAnnotations = false;
    this.#isIncomplete = false;
  }

  takeImage(item: unknown): void {
    const { id, file_name: file } = fieldsOf(item);
    if (typeof file !== 'string' || path.posix.basename(file) !== this.#name || this.#ids.has(id)) return;
    if (this.#ids.size >= mostImages)
      throw new FileError(this.#file, `more than ${mostImages} images are called ${this.#name}`, advice);
    this.#ids.add(id);
    this.#isIncomplete = this.#hasAnnotations;
  }

  takeCategory(item: unknown): void {
    const { id, name } = fieldsOf(item);
    if (typeof name === 'string' && this.#labels.size < mostCategories) this.#labels.set(id, name);
  }

  takeAnnotation(item: unknown): void {
    this.#hasAnnotations = true;
    const annotation = fieldsOf(item);
    if (!this.#ids.has(annotation.image_id)) return;
    const { segments_info: segments } = annotation;
    for (const entry of [annotation, ...(Array.isArray(segments) ? segments : [])]) this.#take(entry);
  }

  #take(entry: unknown): void {
    const fields = fieldsOf(entry);
    const { box, mask } = shapeOf(this.#file, fields);
    if (box === null) return;
    this.#total++;
    if (this.#found.length < MAXIMUM_REGIONS) this.#found.push({ box, mask, category: fields.category_id });
  }

  /** @throws FileError when the image is unknown or has no boxes. */
  finish(): LoadedBoxes {
    if (this.#ids.size === 0)
      throw new FileError(this.#file, `it does not know the image ${this.#name}`, advice);
    if (this.#found.length === 0)
      throw new FileError(this.#file, `it has no boxes of the image ${this.#name}`, advice);
    const boxes = this.#found.map(({ box, mask, category }) => ({
      ...{ box, label: this.#labels.get(category) ?? '', mask },
    }));
    return { file: path.basename(this.#file), total: this.#total, boxes };
  }
}

/**
 * Boxes of one image in COCO-style annotations: boxes of objects, or of the segments of a panoptic file, with the masks
 * of objects (polygons or run lengths). The image is found by its file name. The file is read as a stream: memory holds
 * the boxes of the image, however large the file is.
 *
 * @throws FileError when the file is no such file, has a damaged mask, or knows no boxes of the image; the signal's reason
 *   when it is given up.
 */
export async function readCocoBoxes(
  file: string,
  imageFile: string,
  options: ReadingOptions = {},
): Promise<LoadedBoxes> {
  const boxes = new BoxesOfImage(file, path.basename(imageFile));
  const read = async (): Promise<void> => {
    const { counts, damage } = await readJsonLists(
      file,
      {
        images: item => boxes.takeImage(item),
        categories: item => boxes.takeCategory(item),
        annotations: item => boxes.takeAnnotation(item),
      },
      options,
    );
    if (damage !== null) throw new FileError(file, `it is not valid JSON: ${damage}`, 'Choose another file');
    if (!counts.has('images') && !counts.has('annotations'))
      throw new FileError(
        file,
        'it holds no COCO-style annotations, which have the lists “images” and “annotations”',
        'Choose another file',
      );
  };
  await read();
  if (boxes.isIncomplete) {
    boxes.startAgain();
    await read();
  }
  return boxes.finish();
}
