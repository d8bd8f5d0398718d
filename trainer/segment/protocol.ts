/**
 * What `clipself segment` leaves on disk: a report that compares one model with another, or stands alone. The command
 * writes it; the extension and the evaluation panel read it. This module imports nothing.
 */

export const labelFormats = ['panoptic', 'ade20k', 'voc'] as const;
export type LabelFormat = (typeof labelFormats)[number];

/** The model before, and the one that is looked at. */
export const segmentSides = ['before', 'after'] as const;
export type SegmentSide = (typeof segmentSides)[number];

export interface SegmentedClass {
  /** Category id or label value of the data set. */
  id: number;
  name: string;
}

/** Pixels of one class; classes are positions in the report's `classes`. */
export interface ClassPixels {
  class: number;
  /** Pixels that are this class, that were named so, and both. */
  truth: number;
  named: number;
  both: number;
  /** both ÷ (truth + named − both); null where the class neither is nor was named. */
  iou: number | null;
}

/** Pixels of one class that were named as another (or the same). Pairs that never happened are missing. */
export interface PixelConfusion {
  truth: number;
  named: number;
  pixels: number;
}

export interface SegmentationNumbers {
  /** Mean IoU over the classes that have pixels in the truth; null where none has. */
  miou: number | null;
  /** Share of the labelled pixels that were named rightly. */
  pixelAccuracy: number | null;
  /** Mean over the classes that have pixels of the share of them that was named rightly. */
  meanAccuracy: number | null;
  /** Classes that have pixels or were named, in the order of `classes`. */
  perClass: ClassPixels[];
  confusions: PixelConfusion[];
}

/** How given regions are read: dense features pooled over their boxes, or over their masks. */
export const namedReadings = ['boxes', 'masks'] as const;
export type NamedReading = (typeof namedReadings)[number];

export interface ClassNaming {
  class: number;
  /** Regions that are this class, that were named so (it scored highest), and both. */
  truth: number;
  named: number;
  both: number;
  /** Average precision over all regions ranked by their score for this class; null where no region is of it. */
  ap: number | null;
}

export interface NamingNumbers {
  regions: number;
  /** Mean average precision over the classes that have regions; null without regions or where there were too many. */
  map: number | null;
  /** Share of the regions whose class scored highest. */
  accuracy: number | null;
  perClass: ClassNaming[];
}

export interface SegmentModel {
  /** What people call it. */
  name: string;
  path: string;
  /** SHA-256 of the weights, hex. */
  sha256: string;
}

export interface SegmentSideReport {
  model: SegmentModel;
  words: { source: string; sha256: string };
  pixels: SegmentationNumbers;
  naming: Record<NamedReading, NamingNumbers>;
}

/** Pictures of one image, paths relative to the report's folder. */
export interface SegmentOverlay {
  /** Path of the image below the image folder. */
  image: string;
  truth: string;
  before: string | null;
  after: string;
}

export interface SegmentationReport {
  schema: 1;
  kind: 'segmentation';
  /** ISO 8601. */
  created: string;
  data: { labels: string; format: LabelFormat; images: string };
  /** Longest side of the image as the model sees it, pixels. */
  size: number;
  classes: SegmentedClass[];
  counts: {
    images: number;
    /** Labelled pixels that were compared, and those that the labels leave out. */
    pixels: number;
    ignored: number;
    /** Images left out, by reason. */
    skipped: Record<string, number>;
  };
  before: SegmentSideReport | null;
  after: SegmentSideReport;
  overlays: SegmentOverlay[];
  time: { seconds: number; imagesPerSecond: number };
  versions: { clipself: string; engine: string };
}
