/** How one step of a series of questions ended. */
export type StepOutcome<T> = { kind: 'answered'; value: T } | { kind: 'back' } | { kind: 'cancelled' };

/** Where a question stands among those that are asked: `number` counts from 1. */
export interface StepPosition {
  number: number;
  total: number;
  canGoBack: boolean;
}

/** A question that fills in part of `State`. */
export type WizardStep<State> = (
  state: Partial<State>,
  position: StepPosition,
) => Promise<StepOutcome<Partial<State>>>;

/**
 * Asks the questions in order, each seeing the answers before it; "back" returns to the previous one. Returns all
 * answers, or null when the user cancelled.
 */
export async function runWizard<State extends object>(
  steps: WizardStep<State>[],
  start: Partial<State>,
): Promise<Partial<State> | null> {
  const states: Partial<State>[] = [start];
  while (states.length <= steps.length) {
    const index = states.length - 1;
    const position = { number: index + 1, total: steps.length, canGoBack: index > 0 };
    const state = states[index]!;
    const outcome = await steps[index]!(state, position);
    if (outcome.kind === 'cancelled') return null;
    if (outcome.kind === 'back') {
      if (index > 0) states.pop();
      continue;
    }
    states.push({ ...state, ...outcome.value });
  }
  return states.at(-1)!;
}
