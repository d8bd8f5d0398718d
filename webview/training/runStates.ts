import type { RunState, RunSummary } from '../../trainer/protocol.ts';
import type { PanelCommand } from './protocol.ts';

export const stateLabels: Record<RunState, string> = {
  starting: 'Starting',
  running: 'Running',
  stopped: 'Stopped',
  finished: 'Finished',
  failed: 'Failed',
  interrupted: 'Interrupted',
};

/** What the panel says about the run above everything else. */
export interface Notice {
  severity: 'error' | 'warning' | 'info';
  title: string;
  detail: string;
}

/** A trainer is at work, as far as is known. */
export function isLive(state: RunState): boolean {
  return state === 'starting' || state === 'running';
}

/** Whether a button can be pressed; training needs a trusted workspace. */
export function isPossible(command: PanelCommand, state: RunState, canTrain: boolean): boolean {
  switch (command) {
    case 'stop':
      return isLive(state);
    case 'resume':
      return canTrain && (state === 'stopped' || state === 'failed' || state === 'interrupted');
    case 'compare':
    case 'openLog':
    case 'reveal':
      return true;
  }
}

/** The notice for a run that needs one: a failure with its reason, or an interruption and how to go on. */
export function noticeOf(summary: RunSummary, canTrain: boolean): Notice | null {
  if (summary.state === 'failed') {
    return {
      severity: 'error',
      title: 'Training failed',
      detail: summary.message ?? 'The trainer gave no reason; the log may tell more.',
    };
  }
  if (summary.state === 'interrupted') {
    const goOn = canTrain
      ? 'Resume continues from the last checkpoint and repeats the steps after it with the same results.'
      : 'Trust this workspace to resume from the last checkpoint.';
    return {
      severity: 'warning',
      title: 'Training was interrupted',
      detail: `The trainer ended without finishing or saving, for example because it was killed or the machine restarted. ${goOn}`,
    };
  }
  return null;
}

/** Share of the steps that are done, 0 … 1. */
export function progressOf({ step, totalSteps }: RunSummary): number {
  return totalSteps > 0 ? Math.min(Math.max(step / totalSteps, 0), 1) : 0;
}
