import type { DescribeResult, ReadOut } from '../../../trainer/inspect/protocol.ts';

/** The weights a column looks through. Two sources are the same when their `sourceKey`s are. */
export type ModelSource =
  | { kind: 'demo' }
  /** Weights file or model directory, absolute. */
  | { kind: 'file'; path: string }
  /** Student of a run: the saved α-blend when `step` is null, else the raw student of a saved checkpoint. */
  | { kind: 'run'; directory: string; step: number | null }
  /** The original model that a run started from: its teacher. */
  | { kind: 'original'; directory: string };

export function sourceKey(source: ModelSource): string {
  switch (source.kind) {
    case 'demo':
      return 'demo';
    case 'file':
      return `file:${source.path}`;
    case 'run':
      return `run:${source.directory}#${source.step ?? 'student'}`;
    case 'original':
      return `original:${source.directory}`;
  }
}

/** A model that can be picked. */
export interface ModelChoice {
  source: ModelSource;
  label: string;
  /** A second line: path inside the workspace, or the run's state. */
  detail: string;
  group: 'demo' | 'recent' | 'workspace' | 'run';
}

/** A run with its saved checkpoints, for the step slider. */
export interface RunSteps {
  /** Absolute path of the run directory. */
  directory: string;
  name: string;
  /** A trainer is at work on it: checkpoints will come and go. */
  live: boolean;
  /** Steps with a complete checkpoint, ascending. */
  steps: number[];
  /** `student.safetensors` exists. */
  hasStudent: boolean;
  /** Its modification time in milliseconds; another one means that its maps are out of date. */
  studentTime?: number;
}

/** What is known of a model once the service has opened it. */
export type ModelDescription = Omit<DescribeResult, 'source' | 'steps'>;

/** One column of the comparison. */
export interface ColumnSettings {
  /** Null: no model yet; the panel offers the demo model. */
  source: ModelSource | null;
  /** Side of the network's square input in pixels. */
  size: number;
  /** `maskAttention` reads regions alone: views of maps say so. */
  readOut: ReadOut;
  /** Block after which features are taken, counted from 1; null is the last one. */
  layer: number | null;
}
