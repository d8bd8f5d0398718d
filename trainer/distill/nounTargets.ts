import type { Engine } from '../engines/engine.ts';
import { keyedRandom } from '../random.ts';
import { drawClasses, regionClipLoss } from './regionClip.ts';
import {
  boxesOf,
  boxWeights,
  type DistillationBatch,
  type RegionLoss,
  type RegionShape,
  type RegionTargets,
} from './regionLoss.ts';
import type { StepImages } from './stepPeers.ts';

/** Nouns that regions are told apart by. */
export interface Nouns {
  /** [classes, D], unit norm. */
  embeddings: Float32Array;
  /** exp(logit_scale) of the model. */
  temperature: number;
  /** Seed of the classes that a step is topped up with. */
  seed: number;
}

/** RegionCLIP-style: a region is compared with nouns, of which its label names one. */
export class NounTargets implements RegionTargets {
  readonly #engine: Engine;
  readonly #nouns: Nouns;

  constructor(engine: Engine, nouns: Nouns) {
    this.#engine = engine;
    this.#nouns = nouns;
  }

  async lossOf(
    part: DistillationBatch,
    whole: StepImages,
    shape: RegionShape,
    step: number,
  ): Promise<RegionLoss> {
    const { batch, tokens, maxBoxes, embeddingDimension } = shape;
    const { embeddings, temperature, seed } = this.#nouns;
    const classCount = embeddings.length / embeddingDimension;
    const chosen = drawClasses(whole.labels!, classCount, keyedRandom(seed, 'federated classes', step));
    const nouns = new Float32Array(chosen.length * embeddingDimension);
    chosen.forEach((position, row) => {
      const start = position * embeddingDimension;
      nouns.set(embeddings.subarray(start, start + embeddingDimension), row * embeddingDimension);
    });
    const upload = this.#engine.upload.bind(this.#engine);
    return {
      key: `nouns ${batch}x${tokens}x${maxBoxes}x${chosen.length}`,
      studentInput: 'dense',
      graph: () => regionClipLoss({ ...shape, classes: chosen.length }),
      feeds: {
        nouns: upload([chosen.length, embeddingDimension], nouns),
        targets: upload([batch, maxBoxes, chosen.length], oneHot(part, maxBoxes, chosen)),
        temperature: upload([], Float32Array.of(temperature)),
        pooling: upload([batch, maxBoxes, tokens], part.pooling),
        weights: upload([batch, maxBoxes], boxWeights(part, maxBoxes, 1 / boxesOf(whole))),
      },
    };
  }
}

/** [batch, maxBoxes, classes]: 1 where a box's label is the class. */
function oneHot(
  { boxCounts, labels }: DistillationBatch,
  maxBoxes: number,
  chosen: readonly number[],
): Float32Array {
  const positions = new Map(chosen.map((label, position) => [label, position]));
  const targets = new Float32Array(boxCounts.length * maxBoxes * chosen.length);
  let box = 0;
  boxCounts.forEach((count, image) => {
    for (let row = 0; row < count; row++)
      targets[(image * maxBoxes + row) * chosen.length + positions.get(labels![box++]!)!] = 1;
  });
  return targets;
}
