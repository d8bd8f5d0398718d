import { FileError } from '../trainer/checkpoints/fileError.ts';
import type { ReportProblem } from '../webview/evaluation/protocol.ts';
import { ReportSchemaError } from './evaluationReport.ts';

/** Why a report cannot be shown. */
export function reportProblem(error: unknown, file: string): ReportProblem {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof ReportSchemaError) return { kind: 'schema', message };
  const gone = error instanceof FileError && /\(ENOENT\)|\(ENOTDIR\)/.test(error.reason);
  return gone ? { kind: 'gone', message: `${file} is not there.` } : { kind: 'unreadable', message };
}
