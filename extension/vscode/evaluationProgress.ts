import * as vscode from 'vscode';
import { runEvaluation } from '../evaluationProcess.ts';

/**
 * Runs a command of `clipself` to its end under a notification that shows its progress and can cancel it.
 *
 * @param what What fails when it fails, as the beginning of a sentence.
 */
export function runWithProgress(
  title: string,
  script: string,
  args: string[],
  what = 'The evaluation',
): Thenable<'finished' | 'stopped'> {
  const options = { location: vscode.ProgressLocation.Notification, cancellable: true, title };
  return vscode.window.withProgress(options, (progress, token) => {
    const controller = new AbortController();
    token.onCancellationRequested(() => controller.abort());
    let shown = 0;
    const launch = { what, executable: process.execPath, script, args };
    return runEvaluation(launch, controller.signal, ({ percent, message }) => {
      const increment = Math.max(0, (percent ?? shown) - shown);
      shown += increment;
      progress.report({
        message: controller.signal.aborted ? 'stopping after this image' : message,
        increment,
      });
    });
  });
}
