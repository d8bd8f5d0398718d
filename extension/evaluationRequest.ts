import { stat } from 'node:fs/promises';
import type { ReportReference } from '../webview/evaluation/protocol.ts';
import { absolutePath, isPlainObject } from './commandArguments.ts';
import { evaluationsOf, runOfReport } from './evaluationFiles.ts';
import { isSegmentationReport } from './segmentationReport.ts';

/**
 * Argument of the command `clipself.openEvaluation`, for key bindings, tasks and other extensions: reports or run
 * directories, absolute paths. The command returns the path of the report in view, null where there is none yet.
 */
export interface EvaluationArguments {
  /** What is looked at. */
  report: string;
  /** What it is compared with. */
  before?: string;
}

/** The reports that a panel is opened with. */
export interface OpenedReports {
  before: ReportReference | null;
  /** Null where only a segmentation is looked at. */
  after: ReportReference | null;
  /** Report of a segmentation; none where it is missing. */
  segmentation?: string;
}

/** Whether the command was called with its documented argument rather than from a menu. */
export function isEvaluationArgument(value: unknown): value is EvaluationArguments {
  return isPlainObject(value) && 'report' in value;
}

/** @throws Error naming the entry that cannot be used. */
export async function openedByArguments({ report, before }: EvaluationArguments): Promise<OpenedReports> {
  const opened = await openedByPath(absolutePath('report', report));
  if (before === undefined) return opened;
  const { after } = await openedByPath(absolutePath('before', before));
  return { before: after, after: opened.after };
}

/**
 * A report with the evaluation before training of its run as baseline, a segmentation, or a run with its latest
 * evaluation.
 *
 * @throws Error when there is nothing at the path.
 */
export async function openedByPath(target: string): Promise<OpenedReports> {
  const status = await stat(target).catch(() => null);
  if (status === null) throw new Error(`${target} is not there.`);
  if (status.isDirectory()) return openedByRun(target);
  if (await isSegmentationReport(target)) return { before: null, after: null, segmentation: target };
  const run = runOfReport(target);
  const first = run === null ? undefined : (await evaluationsOf(run))[0];
  const before: ReportReference | null =
    first === undefined || first.report === target ? null : { kind: 'file', path: first.report };
  return { before, after: { kind: 'file', path: target } };
}

/** Before training against the latest evaluation; the run may have none yet. */
export async function openedByRun(run: string): Promise<OpenedReports> {
  const first = (await evaluationsOf(run))[0];
  return {
    before: first === undefined ? null : { kind: 'file', path: first.report },
    after: { kind: 'latest', run },
  };
}
