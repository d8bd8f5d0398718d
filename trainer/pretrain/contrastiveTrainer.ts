import type { HostTensor } from '../checkpoints/hostTensor.ts';
import { AdamW } from '../distill/adamW.ts';
import { NonFiniteGradientError, NonFiniteLossError } from '../distill/distiller.ts';
import type { AdamWSettings } from '../distill/optimiser.ts';
import { type DeviceTensor, disposeAll, type Engine, readFloats, takeScalar } from '../engines/engine.ts';
import { ProgramCache } from '../engines/programCache.ts';
import { gradientName } from '../graph/split.ts';
import { causalInput, causalMask, endsInput } from '../models/textStages.ts';
import { logitScaleName, logitScaleRange } from './contrastiveLoss.ts';
import {
  type DualEncoder,
  gradNormOutput,
  idsInput,
  lossOutput,
  pixelsInput,
  trainingGraph,
} from './dualEncoder.ts';

/** Image–text pairs of a step on the host. */
export interface PairBatch {
  /** [B, 3, S, S], normalised. */
  pixels: Float32Array;
  /** Token ids, [B, context length]. */
  ids: Int32Array;
}

export interface PretrainStep {
  loss: number;
  /** Global L2 norm of the gradients before clipping. */
  gradNorm: number;
}

export interface ContrastiveSettings {
  batch: number;
  /** Highest global norm of the gradients. */
  clip: number;
  optimiser: AdamWSettings;
}

/** Both towers and the optimiser on an engine: takes batches of pairs, makes steps. */
export class ContrastiveTrainer {
  readonly optimiser: AdamW;
  readonly #engine: Engine;
  readonly #model: DualEncoder;
  readonly #settings: ContrastiveSettings;
  readonly #parameters = new Map<string, DeviceTensor>();
  readonly #programs: ProgramCache;

  /** @param weights Float32, by checkpoint name. */
  constructor(
    engine: Engine,
    model: DualEncoder,
    weights: ReadonlyMap<string, HostTensor>,
    settings: ContrastiveSettings,
  ) {
    this.#engine = engine;
    this.#model = model;
    this.#settings = settings;
    this.#programs = new ProgramCache(engine);
    for (const [name, { shape, data }] of weights)
      this.#parameters.set(name, engine.upload(shape, data as Float32Array));
    this.optimiser = new AdamW(engine, this.#programs, settings.optimiser, this.#parameters);
  }

  /** By checkpoint name, replaced as they learn. */
  get parameters(): ReadonlyMap<string, DeviceTensor> {
    return this.#parameters;
  }

  /**
   * One step of AdamW on clipped gradients; `step` counts from 1.
   *
   * @throws NonFiniteLossError and NonFiniteGradientError before anything is updated.
   */
  async step(batch: PairBatch, step: number, learningRate: number): Promise<PretrainStep> {
    const feeds = this.#feeds(batch);
    const program = await this.#programs.get('training step', () =>
      trainingGraph(this.#model, this.#settings.batch, this.#settings.clip),
    );
    const results = await program.run({ ...Object.fromEntries(this.#parameters), ...feeds });
    disposeAll(feeds);
    const loss = await takeScalar(this.#engine, results[lossOutput]!);
    const gradNorm = await takeScalar(this.#engine, results[gradNormOutput]!);
    const gradients = [...this.#parameters.keys()].map(name => [name, results[gradientName(name)]!] as const);
    if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
      for (const [, gradient] of gradients) gradient.dispose();
      throw Number.isFinite(loss)
        ? new NonFiniteGradientError(step, gradNorm)
        : new NonFiniteLossError(step, loss);
    }
    this.optimiser.begin(step, learningRate);
    await this.optimiser.applyTogether(new Map(gradients));
    await this.optimiser.end();
    await this.#limitScale();
    return { loss, gradNorm };
  }

  /** Replaces a parameter, to resume from a checkpoint. */
  restore(name: string, data: Float32Array): void {
    const current = this.#parameters.get(name);
    if (!current) throw new Error(`'${name}' is no parameter`);
    this.#parameters.set(name, this.#engine.upload(current.shape, data));
    current.dispose();
  }

  async dispose(): Promise<void> {
    disposeAll(this.#parameters.values());
    this.optimiser.dispose();
    await this.#programs.dispose();
  }

  #feeds({ pixels, ids }: PairBatch): Record<string, DeviceTensor> {
    const { imageSize } = this.#model.image;
    const { batch } = this.#settings;
    const { contextLength, endOfText } = this.#model.text.architecture;
    // A text is read out where `TextTower` reads it.
    const ends = Int32Array.from({ length: batch }, (_, row) => {
      const own = ids.subarray(row * contextLength, (row + 1) * contextLength);
      return row * contextLength + Math.max(0, own.indexOf(endOfText ?? Math.max(...own)));
    });
    return {
      [pixelsInput]: this.#engine.upload([batch, 3, imageSize, imageSize], pixels),
      [idsInput]: this.#engine.upload([ids.length], ids),
      [causalInput]: this.#engine.upload([contextLength, contextLength], causalMask(contextLength)),
      [endsInput]: this.#engine.upload([batch], ends),
    };
  }

  /** The temperature stays where OpenCLIP keeps it. */
  async #limitScale(): Promise<void> {
    const scale = (await readFloats(this.#engine, this.#parameters.get(logitScaleName)!))[0]!;
    const limited = Math.min(Math.max(scale, logitScaleRange.least), logitScaleRange.most);
    if (limited !== scale) this.restore(logitScaleName, Float32Array.of(limited));
  }
}
