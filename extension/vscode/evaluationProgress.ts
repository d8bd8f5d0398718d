import { runEvaluation } from '../evaluationProcess.ts';
import { withCancel } from './cancellable.ts';

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
  return withCancel(title, (signal, report) => {
    const launch = { what, executable: process.execPath, script, args };
    return runEvaluation(launch, signal, ({ percent, message }) =>
      report(signal.aborted ? 'stopping after this image' : message, percent),
    );
  });
}
