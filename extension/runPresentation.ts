import type { EvaluationRecord, RunState, RunSummary } from '../trainer/protocol.ts';

/** What can be done with a run, as `when` clauses and menus see it. */
export type RunStage = 'live' | 'resumable' | 'finished';

const stages: Readonly<Record<RunState, RunStage>> = {
  starting: 'live',
  running: 'live',
  stopped: 'resumable',
  failed: 'resumable',
  interrupted: 'resumable',
  finished: 'finished',
};

export function stageOf(state: RunState): RunStage {
  return stages[state];
}

/** Codicon and, where the state calls for attention, theme colour of a run's icon. */
export interface StateIcon {
  codicon: string;
  colour?: string;
}

const icons: Readonly<Record<RunState, StateIcon>> = {
  starting: { codicon: 'loading~spin' },
  running: { codicon: 'sync~spin', colour: 'charts.blue' },
  stopped: { codicon: 'debug-pause', colour: 'charts.yellow' },
  finished: { codicon: 'pass', colour: 'charts.green' },
  failed: { codicon: 'error', colour: 'list.errorForeground' },
  interrupted: { codicon: 'debug-disconnect', colour: 'list.warningForeground' },
};

export function iconOf(state: RunState): StateIcon {
  return icons[state];
}

/** A duration as people say it: `45 s`, `12 min`, `3 h 5 min`, `2 d 4 h`. */
export function formatDuration(seconds: number): string {
  if (seconds < 59.5) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  const days = Math.floor(hours / 24);
  return hours % 24 === 0 ? `${days} d` : `${days} d ${hours % 24} h`;
}

function progressParts(summary: RunSummary): string[] {
  const parts: string[] = [];
  if (summary.totalSteps > 0) parts.push(`${summary.step}/${summary.totalSteps}`);
  if (summary.loss !== null) parts.push(`loss ${summary.loss.toFixed(4)}`);
  if (stageOf(summary.state) === 'live' && summary.etaSeconds !== null) {
    parts.push(`${formatDuration(summary.etaSeconds)} left`);
  }
  return parts;
}

/** The grey text after a run's name: state unless it shows by itself, step, loss, time left. */
export function describeRun(summary: RunSummary): string {
  const parts = progressParts(summary);
  if (summary.state !== 'running') parts.unshift(summary.state);
  return parts.join(' · ');
}

/** Text of the progress notification. */
export function describeProgress(summary: RunSummary): string {
  const parts = progressParts(summary);
  return parts.length === 0 ? 'loading model and images' : `step ${parts.join(' · ')}`;
}

/** What a screen reader says for a run. */
export function speakRun(summary: RunSummary): string {
  return `${summary.name}, ${summary.state}, ${progressParts(summary).join(', ')}`;
}

/** Status-bar text for the live runs; null when nothing trains. */
export function statusBarText(live: readonly RunSummary[]): string | null {
  const [first] = live;
  if (first === undefined) return null;
  if (live.length > 1) return `$(sync~spin) CLIPSelf: ${live.length} runs`;
  if (first.totalSteps === 0) return '$(sync~spin) CLIPSelf: starting';
  const eta = first.etaSeconds === null ? '' : ` (${formatDuration(first.etaSeconds)})`;
  return `$(sync~spin) CLIPSelf ${first.step}/${first.totalSteps}${eta}`;
}

/** Mean student/teacher cosine on held-out patches, first and last measured; null when measured less than twice. */
export function heldOutChange(
  evaluations: readonly EvaluationRecord[],
): { before: number; after: number } | null {
  const values = evaluations
    .map(record => record.eval['heldOut.cosine'])
    .filter((value): value is number => typeof value === 'number' && Number.isFinite(value));
  if (values.length < 2) return null;
  return { before: values[0]!, after: values.at(-1)! };
}

/** The message shown when a run reaches its end, stops or breaks. */
export function farewell(summary: RunSummary, evaluations: readonly EvaluationRecord[]): string {
  const change = heldOutChange(evaluations);
  const cosine =
    change === null
      ? ''
      : ` Student/teacher cosine on held-out patches: ${change.before.toFixed(3)} → ${change.after.toFixed(3)}.`;
  const at = summary.totalSteps > 0 ? ` at step ${summary.step} of ${summary.totalSteps}` : '';
  switch (summary.state) {
    case 'finished':
      return `CLIPSelf run “${summary.name}” finished.${cosine}`;
    case 'stopped':
      return `CLIPSelf run “${summary.name}” stopped${at}; it can be resumed.${cosine}`;
    case 'failed':
      return `CLIPSelf run “${summary.name}” failed${at}: ${summary.message ?? 'its log says why.'}`;
    default:
      return `The trainer of CLIPSelf run “${summary.name}” died${at}; nothing saved is lost and the run can be resumed.`;
  }
}
