/**
 * What an evaluation of region classification leaves on disk: a report, and beside it one line for every region. The
 * evaluator writes them; the command line, the extension and the evaluation panel read them. This module imports
 * nothing.
 */

/**
 * How a region is read: dense features pooled by RoIAlign over its box, dense features averaged over its mask, or the
 * embedding of its image crop.
 */
export const regionReadings = ['rois', 'maskpool', 'crops'] as const;
export type RegionReading = (typeof regionReadings)[number];

export const classKinds = ['thing', 'stuff'] as const;
export type ClassKind = (typeof classKinds)[number];

/** COCO's sizes by area of the mask in pixels: below 32², below 96², and the rest. */
export const regionSizes = ['small', 'medium', 'large'] as const;
export type RegionSize = (typeof regionSizes)[number];

/** Accuracy as fractions of 1; `mAcc` is the mean over classes (reference: each class rounded to float16 first). */
export type TwelveNumberName = `${RegionReading}.${ClassKind}.macc${1 | 5}`;

export const twelveNumberNames: readonly TwelveNumberName[] = regionReadings.flatMap(reading =>
  classKinds.flatMap(kind => ([1, 5] as const).map(top => `${reading}.${kind}.macc${top}` as const)),
);

export interface EvaluatedClass {
  /** Category id of the data set. */
  id: number;
  name: string;
  isThing: boolean;
}

/** A region named by its most similar classes. Classes are positions in the report's `classes`. */
export interface RegionRanking {
  /** At most five classes, most similar first. */
  top: number[];
  /** Their cosines. */
  cosines: number[];
  /** Cosine with the true class. */
  trueCosine: number;
  /** Place of the true class, from 1. */
  rank: number;
}

/** One line of the regions file. */
export interface EvaluatedRegion {
  /** Path of the image below the image folder. */
  image: string;
  /** Id of the segment or annotation. */
  segment: number;
  /** The true class. */
  class: number;
  /** [x0, y0, x1, y1] in pixels of the file. */
  box: [number, number, number, number];
  /** Pixels of the mask, or of the box where there is none. */
  area: number;
  /** A reading is missing where the data has no masks. */
  readings: Partial<Record<RegionReading, RegionRanking>>;
}

/** Accuracy over some regions; null where there are none. */
export interface Accuracy {
  regions: number;
  top1: number | null;
  top5: number | null;
  /** Mean of the true class's cosine minus the best other class's. */
  margin: number | null;
}

export interface ClassAccuracy extends Accuracy {
  class: number;
}

/** How often regions of one class were named as another (or the same). Pairs that never happened are missing. */
export interface Confusion {
  truth: number;
  named: number;
  regions: number;
}

export interface ReadingReport {
  overall: Accuracy;
  bySize: Record<RegionSize, Accuracy>;
  /** Classes that have regions, in the order of `classes`. */
  perClass: ClassAccuracy[];
  confusions: Confusion[];
}

/** Whole-image zero-shot accuracy, fractions of 1. */
export interface RetentionReport {
  images: number;
  student: { top1: number; top5: number };
  /** The frozen original; null where it is not known. */
  teacher: { top1: number; top5: number } | null;
}

/** The same regions named at another input size. */
export interface SweepPoint {
  /** Longest side of the image, pixels. */
  size: number;
  numbers: Partial<Record<TwelveNumberName, number | null>>;
}

/** `report.json`. */
export interface EvaluationReport {
  schema: 1;
  /** ISO 8601. */
  created: string;
  /** Stands for everything that the results depend on, hex; an evaluation with the same key is not done again. */
  key?: string;
  model: {
    /** What people call it: name of the file, or of the run and step. */
    name: string;
    path: string;
    /** SHA-256 of the weights, hex. */
    sha256: string;
    /** Run directory it belongs to, its step and epoch; null for other models. */
    run: string | null;
    step: number | null;
    epoch: number | null;
  };
  data: {
    annotations: string;
    images: string;
    masks: string | null;
    /** SHA-256 of the annotation file, hex. */
    sha256: string;
  };
  words: {
    /** File of class embeddings or of prompts, or the name of the default prompt set. */
    source: string;
    /** SHA-256 of the class embeddings, hex. */
    sha256: string;
  };
  /** Longest side of the image as the model sees it, pixels. */
  size: number;
  classes: EvaluatedClass[];
  counts: {
    images: number;
    regions: number;
    /** By reason, such as 'smaller than 64 px', 'image unreadable'. */
    skipped: Record<string, number>;
  };
  /** Null where no class of that kind has a region. */
  numbers: Partial<Record<TwelveNumberName, number | null>>;
  readings: Partial<Record<RegionReading, ReadingReport>>;
  retention: RetentionReport | null;
  sweep: SweepPoint[];
  /** Wall time, and of it the share spent in forward passes. */
  time: { seconds: number; forwardSeconds: number; imagesPerSecond: number };
  versions: { clipself: string; engine: string };
}

/** Name of the regions file that belongs to a report. */
export const regionsFileOf = (report: string): string => `${report.replace(/\.json$/i, '')}.regions.jsonl`;

/** Where a run keeps the evaluation of an epoch (0: before training), below its directory. */
export const runReportPath = (epoch: number): string =>
  `evaluations/epoch-${String(epoch).padStart(4, '0')}/report.json`;
