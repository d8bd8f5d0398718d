import { sizeOf } from '../graph/shape.ts';
import { type ForwardBackward, type SavePolicy, splitForBackward } from '../graph/split.ts';
import { activationBytes, type PlacedStage, type Precision, placeStages } from '../models/stagePrecision.ts';
import type { VisionStage } from '../models/visionStage.ts';

/** What a stage of the student keeps of its forward pass, and the programs that follow from it. */
export interface StagePlan extends PlacedStage {
  /** Key of its programs that keep activations or go backward. */
  key: string;
  /** Null for a frozen stage before every trainable one: it needs no backward pass. */
  split: ForwardBackward | null;
  /** Graph inputs whose gradients are wanted. */
  wanted: readonly string[];
}

export interface ActivationPlan {
  stages: readonly StagePlan[];
  /** Bytes kept between the forward and the backward pass, without the inputs of the stages. */
  keptBytes: number;
  /** How many stages keep all that saves time, the same without attention weights, or nothing. */
  counts: Readonly<Record<SavePolicy, number>>;
}

/** From the least work to the least memory. */
const policies = ['keep', 'compact', 'recompute'] as const satisfies readonly SavePolicy[];

interface Choice {
  split: ForwardBackward;
  bytes: number;
}

interface Candidate extends PlacedStage {
  wanted: readonly string[];
  /** Null where nothing is wanted. */
  choices: Readonly<Record<SavePolicy, Choice>> | null;
}

/**
 * Decides which stages keep their activations so that they fit a budget with as little computed twice as possible:
 * attention weights are given up first, since they take the most memory for their work, then whole stages.
 *
 * @param trainable checkpoint names of the parameters that train.
 * @param budget bytes.
 * @param precision of the tower: what is kept takes half the memory in fp16.
 */
export function planActivations(
  stages: readonly VisionStage[],
  trainable: ReadonlySet<string>,
  budget: number,
  precision: Precision = 'fp32',
): ActivationPlan {
  const candidates = candidatesOf(placeStages(stages, precision), trainable, activationBytes(precision));
  const chosen = new Map<Candidate, SavePolicy>(candidates.map(candidate => [candidate, 'recompute']));
  const counts = { keep: 0, compact: 0, recompute: 0 };
  let keptBytes = 0;
  // First everything compact that fits, then attention weights as far as the rest of the budget goes.
  for (const policy of ['compact', 'keep'] as const)
    for (const candidate of candidates) {
      if (!candidate.choices) continue;
      const more = candidate.choices[policy].bytes - candidate.choices[chosen.get(candidate)!].bytes;
      if (keptBytes + more > budget) continue;
      keptBytes += more;
      chosen.set(candidate, policy);
    }
  const plans = candidates.map((candidate): StagePlan => {
    const { wanted, choices, ...placed } = candidate;
    if (!choices) return { ...placed, key: placed.placeKey, wanted, split: null };
    const policy = chosen.get(candidate)!;
    counts[policy]++;
    const key = `${placed.placeKey} ${policy} ${wanted.join(' ')}`;
    return { ...placed, wanted, key, split: choices[policy].split };
  });
  return { stages: plans, keptBytes, counts };
}

function candidatesOf(
  stages: readonly PlacedStage[],
  trainable: ReadonlySet<string>,
  bytesPerNumber: number,
): Candidate[] {
  let reached = false;
  return stages.map(placed => {
    const { stage } = placed;
    const wanted = Object.entries(stage.parameters)
      .filter(([, checkpointName]) => trainable.has(checkpointName))
      .map(([name]) => name);
    if (reached) wanted.push('input');
    reached ||= wanted.length > 0;
    if (!reached) return { ...placed, wanted, choices: null };
    const outputs = { output: stage.output };
    const choices = Object.fromEntries(
      policies.map(policy => {
        const split = splitForBackward(outputs, wanted, policy);
        const bytes = split.savedNames.reduce(
          (sum, name) => sum + bytesPerNumber * sizeOf(split.forward[name]!.shape),
          0,
        );
        return [policy, { split, bytes }];
      }),
    );
    return { ...placed, wanted, choices: choices as Record<SavePolicy, Choice> };
  });
}
