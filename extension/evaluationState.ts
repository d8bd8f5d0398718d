import path from 'node:path';
import type { ReportReference } from '../webview/evaluation/protocol.ts';

/** What the host reads from a panel's stored state, which may be of any version. */
export interface ShownReports {
  before: ReportReference | null;
  after: ReportReference | null;
  /** Report of a segmentation. */
  segmentation: string | null;
  imageFolder: string | null;
}

type Fields = Readonly<Record<string, unknown>>;

const isPath = (value: unknown): value is string => typeof value === 'string' && path.isAbsolute(value);

export function parseReference(value: unknown): ReportReference | null {
  if (typeof value !== 'object' || value === null) return null;
  const { kind, path: file, run } = value as Fields;
  if (kind === 'file' && isPath(file)) return { kind, path: path.normalize(file) };
  if (kind === 'latest' && isPath(run)) return { kind, run: path.normalize(run) };
  return null;
}

/** The reports of a stored state; null where it names none, so that there is nothing to restore. */
export function parseShownReports(value: unknown): ShownReports | null {
  if (typeof value !== 'object' || value === null) return null;
  const { schema, before, after, segmentation: segmented, imageFolder } = value as Fields;
  if (schema !== 1) return null;
  const segmentation = isPath(segmented) ? path.normalize(segmented) : null;
  const shown = { before: parseReference(before), after: parseReference(after), segmentation };
  if (shown.before === null && shown.after === null && segmentation === null) return null;
  return { ...shown, imageFolder: isPath(imageFolder) ? imageFolder : null };
}
