import { FileError } from '../checkpoints/fileError.ts';
import { isJsonObject } from '../checkpoints/jsonFile.ts';
import { classesOfCategories, classesOfNames } from '../text/classList.ts';
import { reportDamage } from './cocoFields.ts';
import { readJsonLists } from './jsonLists.ts';
import type { EvaluatedClass } from './protocol.ts';
import {
  type AnnotatedImage,
  Breakage,
  type CornerAndSize,
  countSkipped,
  mostRegions,
  type RegionData,
  type SkipBroken,
  tooManyRegions,
} from './regionData.ts';

const advice =
  'Write {"classes": ["cat", …], "boxes": [{"image": "a.jpg", "box": [x0, y0, x1, y1], "class": "cat"}, …]}';

/**
 * Reads boxes without masks: `{"classes": […], "boxes": [{"image", "box", "class"}, …]}`. Boxes are corners in pixels
 * of the file; classes are names, or `{id, name, isthing}`, and a box names its class.
 *
 * @param skipBroken Leaves out what is broken, and counts it.
 * @returns Images in the order in which they first occur; of each the first hundred boxes.
 * @throws FileError naming what is broken.
 */
export async function readPlainBoxes(file: string, skipBroken: SkipBroken): Promise<RegionData> {
  const breakage = new Breakage(file, skipBroken);
  const entries: unknown[] = [];
  const boxes: { image: string; box: CornerAndSize; name: string; segment: number }[] = [];
  const lists = await readJsonLists(file, {
    classes: item => {
      entries.push(item);
    },
    boxes: (item, index) => {
      const { image, box, class: name } = isJsonObject(item) ? item : {};
      const corners = cornerAndSizeOf(box);
      if (typeof image === 'string' && image !== '' && typeof name === 'string' && corners)
        boxes.push({ image, box: corners, name, segment: index });
      else breakage.report('box broken', `boxes[${index}] has no image, box of four numbers and class`);
    },
  });
  reportDamage(lists, breakage);
  const classes = classesOf(entries, file);
  const positions = new Map(classes.map(({ name }, position) => [name, position]));
  const images = new Map<string, AnnotatedImage>();
  for (const { image, box, name, segment } of boxes) {
    const position = positions.get(name);
    const known = images.get(image) ?? { file: image, stated: null, maskFile: null, regions: [] };
    images.set(image, known);
    if (position === undefined)
      breakage.report(
        'unknown category',
        `boxes[${segment}] has the class '${name}', which is not in “classes”`,
      );
    else if (known.regions.length >= mostRegions) countSkipped(breakage.counts, tooManyRegions);
    else known.regions.push({ segment, class: position, box, segmentation: null });
  }
  return {
    annotations: file,
    sha256: lists.sha256,
    classes,
    images: [...images.values()],
    skipped: breakage.counts,
  };
}

function classesOf(entries: readonly unknown[], file: string): EvaluatedClass[] {
  if (entries.length === 0) throw new FileError(file, 'it has no list “classes”', advice);
  return entries.every(entry => typeof entry === 'string')
    ? classesOfNames(entries, file)
    : classesOfCategories(entries, file);
}

function cornerAndSizeOf(value: unknown): CornerAndSize | null {
  if (!Array.isArray(value) || value.length !== 4 || !value.every(Number.isFinite)) return null;
  const [x0, y0, x1, y1] = value as [number, number, number, number];
  return x1 > x0 && y1 > y0 ? [x0, y0, x1 - x0, y1 - y0] : null;
}
