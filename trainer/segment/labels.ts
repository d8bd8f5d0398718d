/** Label images of the three kinds as one: a class for every pixel, and the regions that have one. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { FileError, naming } from '../checkpoints/fileError.ts';
import { readCocoPanoptic } from '../evaluate/cocoPanoptic.ts';
import { brokenAdvice, type SkipCounts, withExistingFiles } from '../evaluate/regionData.ts';
import { readSegmentMap, type SegmentMap, segmentExtents } from '../evaluate/regionMasks.ts';
import type { PixelBox } from '../images/geometry.ts';
import { listImages, pathUnder } from '../images/imageFolder.ts';
import { readClassList } from '../text/classList.ts';
import { ignoredLabel, mostSegmentedClasses } from './confusionMatrix.ts';
import { readPngIndices } from './pngIndices.ts';
import type { LabelFormat, SegmentedClass } from './protocol.ts';

/** A region of the truth. */
export interface LabelledRegion {
  /** Position in the classes. */
  class: number;
  /** Its value in `map`. */
  id: number;
  /** What its pixels span, in pixels. */
  box: PixelBox;
}

export interface ImageLabels {
  width: number;
  height: number;
  /** Class of each pixel, [height, width]; `ignoredLabel` where there is none. */
  labels: Uint16Array;
  map: SegmentMap;
  regions: LabelledRegion[];
}

export interface LabelledImage {
  /** Path below the image folder. */
  image: string;
  /** Absolute path of the image. */
  file: string;
  /** Path of the image of its labels. */
  labelFile: string;
  read: () => Promise<ImageLabels>;
}

export interface LabelledData {
  classes: SegmentedClass[];
  images: LabelledImage[];
  skipped: SkipCounts;
}

export interface LabelRequest {
  format: LabelFormat;
  /** Folder of label images, or COCO panoptic annotations. */
  labels: string;
  images: string;
  /** `panoptic`: folder of the images of segment ids. */
  masks: string | null;
  /** `ade20k` and `voc`: list of the classes. */
  classes: string | null;
  skipBroken: boolean;
}

/**
 * Finds the images that have labels. Labels themselves are read one image at a time.
 *
 * @throws FileError naming what is broken or missing.
 */
export async function openLabels(request: LabelRequest): Promise<LabelledData> {
  const data = await (request.format === 'panoptic' ? panopticLabels(request) : folderLabels(request));
  if (data.classes.length > mostSegmentedClasses)
    throw new FileError(
      request.classes ?? request.labels,
      `it has ${data.classes.length} classes, more than ${mostSegmentedClasses}`,
      'Use fewer classes',
    );
  if (data.images.length > 0) return data;
  throw new FileError(request.labels, 'it leaves no image to compare', 'Check the labels and the images');
}

async function panopticLabels({ labels, images, masks, skipBroken }: LabelRequest): Promise<LabelledData> {
  const folders = { images, masks: masks ?? labels.replace(/\.json$/i, '') };
  const read = await readCocoPanoptic(labels, skipBroken);
  const data = await withExistingFiles(read, folders, skipBroken);
  return {
    classes: data.classes.map(({ id, name }) => ({ id, name })),
    skipped: data.skipped,
    images: data.images.map(({ file, maskFile, regions }) => {
      const labelFile = pathUnder(path.resolve(folders.masks), maskFile!, labels);
      return {
        image: file,
        file: pathUnder(path.resolve(images), file, labels),
        labelFile,
        read: async () => {
          const map = await readSegmentMap(labelFile);
          return imageLabels(map, new Map(regions.map(region => [region.segment, region.class])));
        },
      };
    }),
  };
}

async function folderLabels(request: LabelRequest): Promise<LabelledData> {
  const { labels, images, classes: list, skipBroken } = request;
  const classes = (await readClassList(list!)).map(({ id, name }) => ({ id, name }));
  const byStem = new Map<string, string>();
  for (const file of await listImages(images)) byStem.set(stemOf(path.relative(images, file)), file);
  const skipped: SkipCounts = {};
  const found: LabelledImage[] = [];
  for (const name of await labelFiles(labels)) {
    const file = byStem.get(stemOf(name));
    const labelFile = path.join(labels, name);
    if (file !== undefined) {
      const read = async () => folderImageLabels(labelFile, request.format, classes.length);
      found.push({ image: path.relative(images, file), file, labelFile, read });
    } else if (skipBroken) skipped['image missing'] = (skipped['image missing'] ?? 0) + 1;
    else
      throw new FileError(
        labelFile,
        `no image of this name lies below ${images}`,
        brokenAdvice('Check the folders', 'labels', skipBroken),
      );
  }
  return { classes, images: found, skipped };
}

const stemOf = (name: string): string => name.replace(/\.[^./\\]+$/, '').replaceAll(path.sep, '/');

/** Paths of the label images below a folder, sorted. */
async function labelFiles(folder: string): Promise<string[]> {
  const names = await naming(folder, 'read', () => readdir(folder, { recursive: true }));
  return names.filter(name => /\.png$/i.test(name)).sort();
}

/**
 * ADE20K: 0 is not compared, n is the nth class; 65535 of 16 bits is not compared either. VOC: n is the class at
 * position n, the background being the first; 255 is not compared.
 */
async function folderImageLabels(file: string, format: LabelFormat, classes: number): Promise<ImageLabels> {
  const { width, height, values } = await readPngIndices(file);
  const [first, ignored] = format === 'ade20k' ? [1, 0] : [0, 255];
  const places = new Map<number, number>();
  for (const value of new Set(values)) {
    if (value === ignored || value === ignoredLabel) continue;
    if (value - first >= classes)
      throw new FileError(
        file,
        `it has the label ${value}, and the list names ${classes} classes from ${first}`,
        'Check --classes and --format',
      );
    places.set(value, value - first);
  }
  return imageLabels({ width, height, ids: values }, places);
}

/** @param places Position of the class of each id; other ids are not compared. */
function imageLabels(map: SegmentMap, places: ReadonlyMap<number, number>): ImageLabels {
  const { width, height, ids } = map;
  const labels = new Uint16Array(width * height);
  let [lastId, lastClass] = [-1, ignoredLabel];
  for (let pixel = 0; pixel < labels.length; pixel++) {
    const id = ids[pixel]!;
    if (id !== lastId) [lastId, lastClass] = [id, places.get(id) ?? ignoredLabel];
    labels[pixel] = lastClass;
  }
  const extents = segmentExtents(map);
  const regions = [...places].flatMap(([id, place]): LabelledRegion[] => {
    const extent = extents.get(id);
    if (!extent) return [];
    const { left, top, right, bottom } = extent;
    return [{ class: place, id, box: [left, top, right + 1, bottom + 1] }];
  });
  return { width, height, labels, map, regions };
}
