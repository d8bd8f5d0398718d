import { access } from 'node:fs/promises';
import type { RunConfiguration } from '../protocol.ts';
import { readMetricHistory } from '../runs/metrics.ts';
import type { RunFiles } from '../runs/runDirectory.ts';
import { heldOutCosine } from './heldOut.ts';
import type { TrainingOutcome } from './trainingRun.ts';

/** The outcome of a run that has nothing left to do; null when it has. */
export async function finishedOutcome(
  files: RunFiles,
  { totalSteps }: RunConfiguration,
): Promise<TrainingOutcome | null> {
  const { events, evaluations } = await readMetricHistory(files.metrics);
  const turn = events.findLast(({ event }) => event.kind !== 'warning')?.event;
  if (turn?.kind !== 'finished' || turn.step !== totalSteps) return null;
  const hasStudent = await access(files.student).then(
    () => true,
    () => false,
  );
  if (!hasStudent) return null;
  const compared = evaluations.filter(record => heldOutCosine in record.eval);
  const first = compared.find(record => record.eval.step === 0);
  return {
    state: 'finished',
    step: totalSteps,
    before: first?.eval[heldOutCosine] ?? null,
    after: compared.at(-1)?.eval[heldOutCosine] ?? null,
  };
}
