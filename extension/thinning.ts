import type { StepRecord } from '../trainer/protocol.ts';

/**
 * Thins step records to at most `limit` (≥ 4) while the drawn curve keeps its shape: the first and the last record stay, and of
 * every stretch between them the lowest and the highest loss. Order is kept; shorter lists come back as they are.
 */
export function thinSteps(steps: readonly StepRecord[], limit: number): StepRecord[] {
  if (steps.length <= limit) return [...steps];
  const inner = steps.length - 2;
  const stretches = Math.floor((limit - 2) / 2);
  const kept: StepRecord[] = [steps[0]!];
  for (let stretch = 0; stretch < stretches; stretch++) {
    const from = 1 + Math.floor((stretch * inner) / stretches);
    const to = 1 + Math.floor(((stretch + 1) * inner) / stretches);
    kept.push(...extremes(steps, from, to));
  }
  kept.push(steps.at(-1)!);
  return kept;
}

/** The records of lowest and highest loss in [from, to), in file order; one where they are the same. */
function extremes(steps: readonly StepRecord[], from: number, to: number): StepRecord[] {
  if (from >= to) return [];
  let lowest = from;
  let highest = from;
  for (let index = from + 1; index < to; index++) {
    if (steps[index]!.loss < steps[lowest]!.loss) lowest = index;
    if (steps[index]!.loss > steps[highest]!.loss) highest = index;
  }
  if (lowest === highest) return [steps[lowest]!];
  const [first, second] = lowest < highest ? [lowest, highest] : [highest, lowest];
  return [steps[first]!, steps[second]!];
}
