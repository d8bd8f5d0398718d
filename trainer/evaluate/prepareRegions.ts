/** From an annotated image to what the towers take: the image at every size, crops, and pooling matrices. */
import path from 'node:path';
import { FileError } from '../checkpoints/fileError.ts';
import { maskPoolingRows } from '../dense/maskPooling.ts';
import { pixelsToCells, roiAlignRows } from '../dense/roiPooling.ts';
import { decodeImage, decodeImageBytes } from '../images/decode.ts';
import {
  cropImage,
  degenerateCropReason,
  fitLongestSide,
  type PixelBox,
  studentImage,
  teacherImage,
  unfittableReason,
} from '../images/geometry.ts';
import { ImageError } from '../images/imageError.ts';
import { pathUnder } from '../images/imageFolder.ts';
import { readMember } from '../images/imageReader.ts';
import { type ImageNormalisation, normaliseInto } from '../images/normalise.ts';
import type { Raster } from '../images/raster.ts';
import {
  type AnnotatedImage,
  type AnnotatedRegion,
  brokenAdvice,
  type CornerAndSize,
  countSkipped,
  type RegionFolders,
  type SkipBroken,
  type SkipCounts,
} from './regionData.ts';
import {
  MaskResampler,
  readSegmentMap,
  type SegmentExtent,
  type SegmentMap,
  segmentExtents,
  segmentMapOf,
} from './regionMasks.ts';

export interface PreparationSettings extends RegionFolders {
  /** Longest sides of the image, multiples of the patch size. */
  sizes: readonly number[];
  patchSize: number;
  /** Side of a crop as the tower embeds it. */
  cropSize: number;
  normalisation: ImageNormalisation;
  /** By class: whether it is a thing, whose crops show more than its box. */
  things: readonly boolean[];
  /** Whether to leave out what is broken instead of failing. */
  skipBroken: SkipBroken;
}

export interface PreparedRegion {
  segment: number;
  class: number;
  /** [x0, y0, x1, y1] in pixels of the file. */
  box: [number, number, number, number];
  /** Pixels of the mask, or of the box. */
  area: number;
  hasMask: boolean;
}

/** The image at one size. */
export interface PreparedSize {
  /** [1, 3, size, size], normalised. */
  pixels: Float32Array;
  /** RoIAlign rows [regions, side · side]. */
  boxRows: Float32Array;
  /** Rows of the masks, [regions, side · side]; zeros where a region has none. */
  maskRows: Float32Array;
}

export interface PreparedImage {
  regions: PreparedRegion[];
  /** In the order of the settings' sizes; empty when there are no regions. */
  sizes: PreparedSize[];
  /** [regions, 3, cropSize, cropSize], normalised. */
  crops: Float32Array;
  skipped: SkipCounts;
}

/** The reference's limits on width × height, whatever its options say. */
const [least, most] = [8 ** 2, 1024 ** 2];
/** Things are cut out with this much around them, as a share of the box's side on each side from its centre. */
const contextShare = 0.75;

/** A region with its mask found and its box and size checked. */
interface UsableRegion extends PreparedRegion {
  crop: PixelBox;
  /** Its mask on the feature map of each size, [side · side]; null when it has none. */
  masks: Uint8Array[] | null;
}

/** An image with what its regions are found with. */
interface OpenImage {
  file: string;
  image: Raster;
  /** Null where the data set has no images of ids. */
  map: SegmentMap | null;
  extents: ReadonlyMap<number, SegmentExtent> | null;
  /** One for each size. */
  resamplers: readonly MaskResampler[];
}

/**
 * Reads an image and its masks and prepares its regions.
 *
 * @throws ImageError or FileError naming what is broken, unless the settings leave that out.
 */
export async function prepareRegions(
  annotated: AnnotatedImage,
  settings: PreparationSettings,
): Promise<PreparedImage> {
  const skipped: SkipCounts = {};
  try {
    const open = await openImage(annotated, settings);
    const regions: UsableRegion[] = [];
    for (const region of annotated.regions) {
      const usable = usableRegion(region, open, settings);
      if (typeof usable === 'string') countSkipped(skipped, usable);
      else regions.push(usable);
    }
    return { ...assemble(open.image, regions, settings), skipped };
  } catch (error) {
    const isNamed = error instanceof BrokenImageError;
    const isBroken = isNamed || error instanceof ImageError || error instanceof FileError;
    if (!isBroken || !settings.skipBroken) throw isNamed ? refusal(error, settings.skipBroken) : error;
    countSkipped(skipped, isNamed ? error.kind : 'image unreadable');
    return { regions: [], sizes: [], crops: new Float32Array(0), skipped };
  }
}

/** Something broken with a name of its own among the skipped. */
class BrokenImageError extends Error {
  readonly kind: string;
  readonly file: string;

  constructor(kind: string, file: string, reason: string) {
    super(reason);
    this.kind = kind;
    this.file = file;
  }
}

const refusal = ({ file, message }: BrokenImageError, skipBroken: SkipBroken): FileError =>
  new FileError(file, message, brokenAdvice('Correct the data', 'images', skipBroken));

async function openImage(annotated: AnnotatedImage, settings: PreparationSettings): Promise<OpenImage> {
  const { image, map } = await readFiles(annotated, settings);
  const sides = settings.sizes.map(size => Math.floor(size / settings.patchSize));
  return {
    file: annotated.file,
    image,
    map,
    extents: map && segmentExtents(map),
    resamplers: sides.map(side => new MaskResampler(image.width, image.height, side)),
  };
}

async function readFiles(
  { file, member, stated, maskFile }: AnnotatedImage,
  { images, masks, sizes }: PreparationSettings,
): Promise<Pick<OpenImage, 'image' | 'map'>> {
  const imageFile = member
    ? `${member.shard}:${file}`
    : pathUnder(path.resolve(images), file, 'the annotations');
  const image = member
    ? await decodeImageBytes(imageFile, await readMember(member, imageFile))
    : await decodeImage(imageFile);
  const shown = `${image.width} × ${image.height} pixels`;
  if (stated && (stated.width !== image.width || stated.height !== image.height))
    throw new BrokenImageError(
      'size disagrees',
      imageFile,
      `it has ${shown}, but the annotations say ${stated.width} × ${stated.height}`,
    );
  for (const size of sizes) {
    const reason = unfittableReason(image.width, image.height, size);
    if (reason !== null) throw new BrokenImageError('image too thin', imageFile, reason);
  }
  if (maskFile === null || masks === null) return { image, map: null };
  const mapFile = pathUnder(path.resolve(masks), maskFile, 'the annotations');
  const map = await readMap(mapFile);
  if (map.width !== image.width || map.height !== image.height)
    throw new BrokenImageError(
      'size disagrees',
      mapFile,
      `it has ${map.width} × ${map.height} pixels, but its image ${file} has ${shown}`,
    );
  return { image, map };
}

async function readMap(file: string): Promise<SegmentMap> {
  try {
    return await readSegmentMap(file);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    throw new BrokenImageError('mask unreadable', file, error.reason);
  }
}

/** The region ready to be cut out, or why it is left out. */
function usableRegion(
  region: AnnotatedRegion,
  open: OpenImage,
  { things, cropSize, skipBroken }: PreparationSettings,
): UsableRegion | string {
  let mask: FoundMask | null;
  try {
    mask = findMask(region, open);
  } catch (error) {
    if (!skipBroken || !(error instanceof BrokenImageError)) throw error;
    return error.kind;
  }
  const isThing = things[region.class]!;
  const cornerAndSize = chosenBox(region, mask?.extent ?? null, isThing);
  if (!cornerAndSize) return 'box is empty';
  const [x, y, width, height] = cornerAndSize;
  if (width * height < least) return 'smaller than 64 px';
  if (width * height > most) return 'larger than 1024² px';
  const box: PreparedRegion['box'] = [x, y, x + width, y + height];
  const crop = isThing ? withContext(cornerAndSize, open.image) : box;
  if (degenerateCropReason(crop, cropSize) !== null) return 'crop holds no pixels';
  return {
    segment: region.segment,
    class: region.class,
    box,
    area: mask?.extent.area ?? width * height,
    hasMask: mask !== null,
    crop,
    masks: mask && open.resamplers.map(resampler => resampler.resample(mask.map, mask.id)),
  };
}

interface FoundMask {
  map: SegmentMap;
  id: number;
  extent: SegmentExtent;
}

/** @throws BrokenImageError when the region should have a mask and has none. */
function findMask(
  { segment, segmentation }: AnnotatedRegion,
  { file, image, map, extents }: OpenImage,
): FoundMask | null {
  if (segmentation === null) {
    if (!map || !extents) return null;
    const extent = extents.get(segment);
    if (extent) return { map, id: segment, extent };
    const reason = `segment ${segment} has no pixel in its image of ids`;
    throw new BrokenImageError('segment not in the mask', file, reason);
  }
  try {
    const own = segmentMapOf(segmentation, image.width, image.height);
    const extent = segmentExtents(own).get(1);
    if (extent) return { map: own, id: 1, extent };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BrokenImageError('mask broken', file, `annotation ${segment}: ${reason}`);
  }
  throw new BrokenImageError('mask is empty', file, `the mask of annotation ${segment} covers no pixel`);
}

/**
 * The annotated box of a thing. That of stuff is the mask's, with the last column and row as its far edges, so that it
 * is one pixel short: the reference's own.
 */
function chosenBox(
  { box }: AnnotatedRegion,
  extent: SegmentExtent | null,
  isThing: boolean,
): CornerAndSize | null {
  if (isThing && box) return box;
  if (!extent) return box;
  const { left, top, right, bottom } = extent;
  // A thing without a box gets the whole of its mask.
  const more = isThing ? 1 : 0;
  return [left, top, right - left + more, bottom - top + more];
}

/** The box enlarged 1.5 times about its centre and clipped to the image, in the reference's order of operations. */
function withContext([x, y, width, height]: CornerAndSize, image: Raster): PixelBox {
  const [centreX, centreY] = [x + width * 0.5, y + height * 0.5];
  return [
    Math.max(centreX - width * contextShare, 0),
    Math.max(centreY - height * contextShare, 0),
    Math.min(centreX + width * contextShare, image.width),
    Math.min(centreY + height * contextShare, image.height),
  ];
}

function assemble(
  image: Raster,
  regions: readonly UsableRegion[],
  settings: PreparationSettings,
): Omit<PreparedImage, 'skipped'> {
  const { cropSize, normalisation, sizes } = settings;
  const cropLength = 3 * cropSize * cropSize;
  const crops = new Float32Array(regions.length * cropLength);
  regions.forEach(({ crop }, index) => {
    normaliseInto(teacherImage(cropImage(image, crop), cropSize), normalisation, crops, index * cropLength);
  });
  return {
    regions: regions.map(({ crop: _crop, masks: _masks, ...region }) => region),
    sizes: regions.length === 0 ? [] : sizes.map((_, place) => atSize(image, regions, place, settings)),
    crops,
  };
}

function atSize(
  image: Raster,
  regions: readonly UsableRegion[],
  place: number,
  { sizes, patchSize, normalisation }: PreparationSettings,
): PreparedSize {
  const size = sizes[place]!;
  const side = Math.floor(size / patchSize);
  const pixels = new Float32Array(3 * size * size);
  normaliseInto(studentImage(image, size), normalisation, pixels, 0);
  const { scale } = fitLongestSide(image.width, image.height, size);
  const grid = { height: side, width: side };
  const corners = Float32Array.from(regions.flatMap(({ box }) => box));
  const boxRows = roiAlignRows(pixelsToCells(corners, scale, size, grid), grid);
  const cells = side * side;
  const masks = new Uint8Array(regions.length * cells);
  regions.forEach((region, index) => {
    if (region.masks) masks.set(region.masks[place]!, index * cells);
  });
  return { pixels, boxRows, maskRows: maskPoolingRows(masks, cells) };
}
