import type { RunSummary } from '../../trainer/protocol.ts';
import { describeRun, iconOf } from '../runPresentation.ts';
import { ask, askForMany, type ChoiceItem, heading } from './quickPicks.ts';

/** Stands for the wish to look for a run elsewhere; no run directory has an empty path. */
const ELSEWHERE = '';

/**
 * Asks which run is meant; a single candidate is not asked for. Null when there is none or the user cancelled.
 *
 * @param browse Lets the user look for a run elsewhere; the question is then always asked.
 */
export async function pickRun(
  candidates: readonly RunSummary[],
  title: string,
  browse?: () => Promise<string | null>,
): Promise<string | null> {
  if (browse === undefined && candidates.length < 2) return candidates[0]?.directory ?? null;
  const items = candidates.map(itemOf);
  if (browse !== undefined) {
    const label = '$(folder-opened) Browse for a run directory…';
    items.push(heading('elsewhere'), { label, alwaysShow: true, choice: ELSEWHERE });
  }
  const outcome = await ask({ title, placeholder: 'Which run?', items });
  if (outcome.kind !== 'answered') return null;
  return outcome.value === ELSEWHERE && browse !== undefined ? browse() : outcome.value;
}

/** Asks for several runs; null when the user cancelled. */
export function pickRuns(
  candidates: readonly RunSummary[],
  title: string,
  placeHolder: string,
): Promise<string[] | null> {
  return askForMany({ title, placeHolder }, candidates.map(itemOf));
}

const itemOf = (run: RunSummary): ChoiceItem<string> => ({
  label: `$(${iconOf(run.state).codicon}) ${run.name}`,
  description: describeRun(run),
  detail: run.directory,
  choice: run.directory,
});
