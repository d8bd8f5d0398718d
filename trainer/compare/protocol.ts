/**
 * What a comparison of runs holds, for the command line, the extension and the comparison panel. This module imports
 * types alone.
 */

import type { TwelveNumberName } from '../evaluate/protocol.ts';
import type { RunState } from '../protocol.ts';

/** More runs than this cannot be told apart in a chart. */
export const mostRuns = 6;

/** What every training step measures, by the names in `metrics.jsonl`. */
export const stepMetrics = ['loss', 'lr', 'gradNorm', 'imagesPerSecond'] as const;
export type StepMetric = (typeof stepMetrics)[number];

/** Where something was measured, in the three ways in which runs can be laid side by side. */
export interface CurvePlace {
  /** Completed steps. */
  step: number;
  /** Completed epochs, with fractions: steps by the steps of an epoch. */
  epoch: number;
  /** Seconds of training so far; breaks between a trainer's end and the next one's start do not count. */
  seconds: number;
}

/** One training step. JSON has no NaN: what is not finite is null. */
export type CurveStep = CurvePlace & Record<StepMetric, number | null>;

/** One evaluation: dotted names such as `heldOut.cosine` and `rois.thing.macc1`, finite values alone. */
export interface CurveEvaluation extends CurvePlace {
  values: Record<string, number>;
}

/** What one run measured, ascending by step. */
export interface RunCurves {
  steps: CurveStep[];
  evaluations: CurveEvaluation[];
}

/** The twelve numbers as far as they are known, fractions of 1. */
export type KnownNumbers = Partial<Record<TwelveNumberName, number>>;

/** One run of a comparison. */
export interface ComparedRun {
  /** Absolute path of the run directory. */
  directory: string;
  /** Shortest name that tells it from the others. */
  name: string;
  /** Why the run cannot be read; then everything below is unknown. */
  problem: string | null;
  state: RunState | null;
  step: number;
  totalSteps: number;
  /** `clipself`, `regionclip`, or `pretrain`. */
  method: string | null;
  /** `grid`, `proposals` or `boxes-file`; null for a pre-training. */
  regions: string | null;
  /** What it started from: name of its file or folder, and the SHA-256 of its weights. */
  model: { name: string; sha256: string } | null;
  /** Last values; null where there are none. */
  loss: number | null;
  heldOutCosine: number | null;
  /** The latest value of each of the twelve numbers, the step it is of, and those of before training (step 0). */
  numbers: KnownNumbers;
  numbersStep: number | null;
  numbersBefore: KnownNumbers;
}

/** A setting in which runs differ: its text in each run; null where the version that made the run did not have it. */
export interface SettingRow {
  name: string;
  values: (string | null)[];
}

/** One of the twelve numbers in each run, and the difference to the base run; null where unknown. */
export interface NumberRow {
  name: TwelveNumberName;
  values: (number | null)[];
  differences: (number | null)[];
}

export interface RunComparison {
  schema: 1;
  /** Position of the run that the others are compared with. */
  base: number;
  runs: ComparedRun[];
  settings: SettingRow[];
  numbers: NumberRow[];
}
