import * as vscode from 'vscode';

/** What a notification shows of a task: its latest words, and percent gained since the last report. */
export type ReportProgress = (value: { message?: string; increment?: number }) => void;

/** Shows a notification with a cancel button during the task. */
export function withCancel<T>(
  title: string,
  task: (signal: AbortSignal, report: ReportProgress) => Promise<T>,
): Thenable<T> {
  const options = { location: vscode.ProgressLocation.Notification, cancellable: true, title };
  return vscode.window.withProgress(options, (progress, token) => {
    const controller = new AbortController();
    token.onCancellationRequested(() => controller.abort());
    return task(controller.signal, value => progress.report(value));
  });
}
