import { isJsonObject } from '../checkpoints/jsonFile.ts';
import { boxOf, CocoCategories, CocoImages, reportDamage } from './cocoFields.ts';
import { readJsonLists } from './jsonLists.ts';
import {
  type AnnotatedImage,
  type AnnotatedRegion,
  Breakage,
  countSkipped,
  mostRegions,
  type RegionData,
  type SkipBroken,
  tooManyRegions,
} from './regionData.ts';

interface PanopticAnnotation {
  image: number;
  maskFile: string;
  /** Their `class` is a category id until the categories are known. */
  segments: AnnotatedRegion[];
}

/**
 * Reads COCO panoptic annotations; the ids of the segments are pixels of PNG files, R + 256 G + 256² B.
 *
 * @param skipBroken Leaves out what is broken, and counts it.
 * @returns Images in the order of the file, those without segments too; of each the first hundred segments.
 * @throws FileError naming what is broken.
 */
export async function readCocoPanoptic(file: string, skipBroken: SkipBroken): Promise<RegionData> {
  const breakage = new Breakage(file, skipBroken);
  const images = new CocoImages(file, breakage);
  const categories = new CocoCategories(file);
  const annotations: PanopticAnnotation[] = [];
  const lists = await readJsonLists(file, {
    images: images.receive,
    categories: categories.receive,
    annotations: (item, index) => {
      const annotation = annotationOf(item, index, breakage);
      if (annotation) annotations.push(annotation);
    },
  });
  reportDamage(lists, breakage);
  images.require();
  const { classes, positions } = categories.finish();
  const byImage = new Map<number, AnnotatedImage>();
  for (const { image, maskFile, segments } of annotations) {
    const known = images.byId.get(image);
    if (!known) {
      breakage.report('unknown image', `an annotation belongs to image ${image}, which is not in “images”`);
      continue;
    }
    const regions = knownClasses(segments, positions, breakage);
    byImage.set(image, { file: known.file, stated: known.stated, maskFile, regions });
  }
  const inOrder = [...images.byId.keys()].flatMap(id => byImage.get(id) ?? []);
  return { annotations: file, sha256: lists.sha256, classes, images: inOrder, skipped: breakage.counts };
}

function annotationOf(item: unknown, index: number, breakage: Breakage): PanopticAnnotation | null {
  const { image_id: image, file_name: maskFile, segments_info: list } = isJsonObject(item) ? item : {};
  if (!Number.isSafeInteger(image) || typeof maskFile !== 'string' || !Array.isArray(list)) {
    breakage.report(
      'annotation broken',
      `annotations[${index}] has no image_id, file_name and segments_info as panoptic annotations have`,
    );
    return null;
  }
  const segments = list.slice(0, mostRegions).flatMap((segment: unknown, place) => {
    const { id, category_id: category, bbox } = isJsonObject(segment) ? segment : {};
    const box = boxOf(bbox);
    if (Number.isSafeInteger(id) && Number.isSafeInteger(category) && box)
      return [{ segment: id as number, class: category as number, box, segmentation: null }];
    breakage.report(
      'segment broken',
      `segment ${place} of image ${image as number} has no id, category_id and bbox`,
    );
    return [];
  });
  if (list.length > mostRegions) countSkipped(breakage.counts, tooManyRegions, list.length - mostRegions);
  return { image: image as number, maskFile, segments };
}

function knownClasses(
  segments: readonly AnnotatedRegion[],
  positions: ReadonlyMap<number, number>,
  breakage: Breakage,
): AnnotatedRegion[] {
  return segments.flatMap(segment => {
    const position = positions.get(segment.class);
    if (position !== undefined) return [{ ...segment, class: position }];
    breakage.report(
      'unknown category',
      `segment ${segment.segment} has the category ${segment.class}, which is not in “categories”`,
    );
    return [];
  });
}
