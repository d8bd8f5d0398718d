import path from 'node:path';
import { isJsonObject, readJson } from '../trainer/checkpoints/jsonFile.ts';
import type { Box, LoadedBoxes } from '../webview/inspector/protocol.ts';

/** Annotation files of COCO itself have 450 MB; larger ones are not read. */
const MAXIMUM_BYTES = 600 * 1024 ** 2;
/** Boxes of one image; more would hide each other. */
export const MAXIMUM_BOXES = 500;

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

/**
 * Boxes of one image in COCO-style annotations: boxes of objects, or of the segments of a panoptic file. The image is
 * found by its file name.
 *
 * @throws Error when the file is no such file, or knows no boxes of the image.
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
  const boxes = entriesOf(content.annotations)
    .filter(annotation => ids.has(annotation.image_id))
    .flatMap(annotation => [annotation, ...entriesOf(annotation.segments_info)])
    .map(entry => ({ box: boxOf(entry.bbox), label: labels.get(entry.category_id) ?? '' }))
    .filter((entry): entry is { box: Box; label: string } => entry.box !== null)
    .slice(0, MAXIMUM_BOXES);
  if (boxes.length === 0) throw new Error(`${file}: it has no boxes of the image ${name}.`);
  return { file: path.basename(file), boxes };
}
