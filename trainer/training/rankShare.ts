/** What one of several ranks takes of each step, and what it exchanges with the others. */
import { shareStart } from '../distill/sampler.ts';
import { bucketSize, StepExchange } from '../distributed/stepExchange.ts';
import { compareWeights } from '../distributed/weightCheck.ts';
import { agreeing, gatherNumbers, leads, type World } from '../distributed/world.ts';
import type { DeviceTensor, Engine } from '../engines/engine.ts';
import type { TrainingSettings } from '../protocol.ts';
import type { Checkpoint, CheckpointStore } from '../runs/checkpointStore.ts';
import { imagesPerStep, SettingError } from './settings.ts';

export class RankShare {
  readonly #world: World;
  readonly #images: number;
  /** This rank among all of them. */
  readonly share: { rank: number; ranks: number };
  /** Images of a step that this rank takes. */
  readonly ownImages: number;

  constructor(world: World, settings: TrainingSettings) {
    this.#world = world;
    this.#images = imagesPerStep(settings);
    const { rank, size: ranks } = world;
    this.share = { rank, ranks };
    const end = shareStart({ rank: rank + 1, ranks }, this.#images);
    this.ownImages = end - shareStart(this.share, this.#images);
  }

  /** For the log. */
  get description(): string {
    return `${this.#world.description}: ${this.ownImages} of ${this.#images} images of a step`;
  }

  /**
   * How gradients become those of all ranks.
   *
   * @param labels Labels of an image at most; 0 where regions have none.
   * @returns null where they stay with their rank.
   * @throws SettingError on every rank when buckets of gradients differ in size.
   */
  async exchange(engine: Engine, settings: TrainingSettings, labels: number): Promise<StepExchange | null> {
    if (this.#world.size === 1 || settings.exchange === 'none') return null;
    const bucketNumbers = bucketSize();
    const sizes = new Set(await gatherNumbers(this.#world, bucketNumbers));
    return agreeing(this.#world, async () => {
      if (sizes.size > 1) throw new SettingError('buckets of gradients must have the same size on all ranks');
      return new StepExchange(engine, this.#world, {
        imagesPerStep: this.#images,
        labelsPerImage: labels,
        firstImage: shareStart(this.share, this.#images),
        bucketNumbers,
      });
    });
  }

  /** The leading rank chooses the checkpoint for all of them, after it has cleaned up. */
  async latestCheckpoint(
    checkpoints: CheckpointStore,
    cleanUp: () => Promise<void>,
  ): Promise<Checkpoint | null> {
    const world = this.#world;
    const chosen = await agreeing(world, async () => {
      if (!leads(world)) return null;
      await cleanUp();
      return checkpoints.latest();
    });
    if (world.size === 1) return chosen;
    const [step] = await gatherNumbers(world, chosen?.step ?? -1);
    return agreeing(world, async () => (step! < 0 ? null : checkpoints.at(step!)));
  }

  /** @throws DivergedWeightsError on every rank when weights that should be the same are not. */
  compareWeights(engine: Engine, weights: Iterable<DeviceTensor>, step: number): Promise<void> {
    return compareWeights(this.#world, engine, weights, step);
  }

  /** What was exchanged in a step, for the log. */
  exchanged({ bytes, waitSeconds, buckets, bucketsMeanwhile }: StepExchange, steps: number): string {
    const milliseconds = (seconds: number): string => `${((seconds / steps) * 1000).toFixed(1)} ms`;
    const meanwhile = buckets === 0 ? 0 : Math.round((100 * bucketsMeanwhile) / buckets);
    return (
      `a step exchanged ${(bytes / steps / 2 ** 20).toFixed(2)} MiB of gradients in ${Math.round(buckets / steps)} buckets ` +
      `(${meanwhile} % back before the end of the backward pass), which took ${milliseconds(this.#world.busySeconds)}, ` +
      `of which the trainer waited ${milliseconds(waitSeconds)}`
    );
  }
}
