import * as vscode from 'vscode';

/** Shows how far a task is: its latest words, and percent of the whole; null while that is unknown. */
export type ReportProgress = (message: string, percent: number | null) => void;

/** Shows a notification with a cancel button during the task. */
export function withCancel<T>(
  title: string,
  task: (signal: AbortSignal, report: ReportProgress) => Promise<T>,
): Thenable<T> {
  const options = { location: vscode.ProgressLocation.Notification, cancellable: true, title };
  return vscode.window.withProgress(options, (progress, token) => {
    const controller = new AbortController();
    token.onCancellationRequested(() => controller.abort());
    let shown = 0;
    return task(controller.signal, (message, percent) => {
      // The bar never goes back.
      const increment = Math.max(0, (percent ?? shown) - shown);
      shown += increment;
      progress.report({ message, increment });
    });
  });
}
