import { Distiller } from '../distill/distiller.ts';
import { EmbeddingStore } from '../distill/embeddingStore.ts';
import { activationBudget, describeMemoryPlan } from '../distill/memoryPlan.ts';
import type { StepPeers } from '../distill/stepPeers.ts';
import { regionTotal } from '../images/regionStore.ts';
import { uploadVisionParameters } from './modelParameters.ts';
import { loadNouns } from './regionPlan.ts';
import { planStepMemory } from './stepMemory.ts';
import type { TrainingContext } from './trainingContext.ts';

export interface OpenedDistiller {
  distiller: Distiller;
  /** Regions whose embeddings are kept, the first of `trainingRegions`. */
  keptRegions: number;
}

/**
 * Teacher and student of a run at its first step. The log says how the memory is shared out, and why.
 *
 * @param ownImages Images of a step that this process takes.
 * @param peers Other ranks that add up their gradients; null where none do.
 */
export async function openDistiller(
  { engine, plan, configuration, log }: TrainingContext,
  ownImages: number,
  peers: StepPeers | null,
): Promise<OpenedDistiller> {
  const { settings } = configuration;
  const { size, maxBoxes, precision, cosineWeight, retention, seed } = settings;
  const { beta1, beta2, epsilon, weightDecay } = settings;
  const { model, trainable, regions, trainingRegions } = plan;
  const { architecture } = model;
  const nouns = await loadNouns(engine, regions, seed);
  const teacher = await uploadVisionParameters(engine, model.weightsFile);
  const { keptRegions, passes, budget, use, remarks } = planStepMemory({
    ...{ settings, architecture, trainable, ownImages },
    parameters: teacher,
    regions: trainingRegions ? regionTotal(trainingRegions) : 0,
    exchanged: peers !== null,
    largestTensor: (await engine.largestTensorBytes?.()) ?? Number.POSITIVE_INFINITY,
    memoryShared: engine.sharesMemory ?? false,
  });
  for (const remark of remarks) log.info(remark);
  const distiller = await Distiller.create(engine, architecture, teacher, trainable, {
    size,
    cropSize: architecture.imageSize,
    maxBoxes,
    optimiser: { beta1, beta2, epsilon, weightDecay },
    precision,
    activationBudget: activationBudget(budget, use),
    ...passes,
    cosineWeight,
    retention,
    nouns,
    embeddings: keptRegions > 0 ? new EmbeddingStore(keptRegions, architecture.embeddingDimension) : null,
    peers,
  });
  log.info(describeMemoryPlan(distiller.activationPlan(use.images, use.size), budget, use));
  return { distiller, keptRegions };
}
