import path from 'node:path';
import { isJsonObject, readJson } from '../trainer/checkpoints/jsonFile.ts';
import {
  type CocoSegmentation,
  isRunLengths,
  maskBounds,
  maskOfRunLengths,
  parseSegmentation,
} from '../trainer/dense/cocoMask.ts';
import { type Box, type LoadedBoxes, MAXIMUM_REGIONS } from '../webview/inspector/protocol/requests.ts';

/** Annotation files of COCO itself have 450 MB; larger ones are not read. */
const MAXIMUM_BYTES = 600 * 1024 ** 2;

type Entry = Readonly<Record<string, unknown>>;

const entriesOf = (value: unknown): Entry[] => (Array.isArray(value) ? value.filter(isJsonObject) : []);

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

/** @throws Error naming the file and the annotation when its mask is damaged. */
function shapeOf(file: string, entry: Entry): { box: Box | null; mask: CocoSegmentation | null } {
  try {
    const mask = maskOf(entry.segmentation);
    return { box: boxOf(entry.bbox) ?? (mask && entry.bbox === undefined ? boundsOf(mask) : null), mask };
  } catch (error) {
    const name = entry.id === undefined ? 'an annotation' : `annotation ${JSON.stringify(entry.id)}`;
    throw new Error(`${file}: ${name}: ${error instanceof Error ? error.message : String(error)}.`);
  }
}

/**
 * Boxes of one image in COCO-style annotations: boxes of objects, or of the segments of a panoptic file, with the masks
 * of objects (polygons or run lengths). The image is found by its file name.
 *
 * @throws Error when the file is no such file, has a damaged mask, or knows no boxes of the image.
 */
export async function readCocoBoxes(file: string, imageFile: string): Promise<LoadedBoxes> {
  const content = await readJson(file, MAXIMUM_BYTES);
  if (!isJsonObject(content) || !Array.isArray(content.images) || !Array.isArray(content.annotations)) {
    throw new Error(`${file}: no COCO-style annotations. They have the lists “images” and “annotations”.`);
  }
  const name = path.basename(imageFile);
  const ids = new Set(
    entriesOf(content.images)
      .filter(image => typeof image.file_name === 'string' && path.posix.basename(image.file_name) === name)
      .map(image => image.id),
  );
  if (ids.size === 0) throw new Error(`${file}: it does not know the image ${name}.`);
  const labels = new Map(
    entriesOf(content.categories).map(({ id, name: label }) => [id, typeof label === 'string' ? label : '']),
  );
  const entries = entriesOf(content.annotations)
    .filter(annotation => ids.has(annotation.image_id))
    .flatMap(annotation => [annotation, ...entriesOf(annotation.segments_info)]);
  const boxes: LoadedBoxes['boxes'] = [];
  let total = 0;
  for (const entry of entries) {
    const { box, mask } = shapeOf(file, entry);
    if (box === null) continue;
    total++;
    if (boxes.length < MAXIMUM_REGIONS) boxes.push({ box, label: labels.get(entry.category_id) ?? '', mask });
  }
  if (boxes.length === 0) throw new Error(`${file}: it has no boxes of the image ${name}.`);
  return { file: path.basename(file), total, boxes };
}
