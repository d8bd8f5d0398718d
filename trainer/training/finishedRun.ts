import { access } from 'node:fs/promises';
import type { RunConfiguration } from '../protocol.ts';
import { readMetricHistory } from '../runs/metrics.ts';
import type { RunFiles } from '../runs/runDirectory.ts';
import { heldOutAgreement } from './heldOut.ts';
import type { TrainingOutcome } from './trainingContext.ts';

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
  return { state: 'finished', step: totalSteps, ...heldOutAgreement(evaluations) };
}
