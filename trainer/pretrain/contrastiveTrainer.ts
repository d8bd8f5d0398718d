import type { HostTensor } from '../checkpoints/hostTensor.ts';
import { AdamW } from '../distill/adamW.ts';
import type { AdamWSettings } from '../distill/optimiser.ts';
import { NonFiniteGradientError, NonFiniteLossError } from '../distill/stepErrors.ts';
import { type DeviceTensor, disposeAll, type Engine, readFloats } from '../engines/engine.ts';
import { ProgramCache } from '../engines/programCache.ts';
import type { Shape } from '../graph/shape.ts';
import { gradientName } from '../graph/split.ts';
import { causalInput, causalMask, endsInput } from '../models/textStages.ts';
import { logitScaleName, logitScaleRange } from './contrastiveLoss.ts';
import {
  type DualEncoder,
  idsInput,
  packsOf,
  pixelsInput,
  reportOutput,
  type StepShape,
  trainingGraph,
} from './dualEncoder.ts';
import { type Pack, packNumbers, unpackNumbers } from './packedParameters.ts';

/** Image–text pairs of a step on the host. */
export interface PairBatch {
  /** [G · B, 3, S, S], normalised. */
  pixels: Float32Array;
  /** Token ids, [G · B, context length]. */
  ids: Int32Array;
}

export interface PretrainStep {
  loss: number;
  /** Global L2 norm of the gradients before clipping. */
  gradNorm: number;
}

export interface ContrastiveSettings extends StepShape {
  /** Highest global norm of the gradients. */
  clip: number;
  optimiser: AdamWSettings;
}

/** What a pre-training has learned, by checkpoint name. */
export interface TrainedState {
  weights: Map<string, HostTensor>;
  /** AdamW's, null before the first step. */
  moments: { first: Map<string, HostTensor>; second: Map<string, HostTensor> } | null;
}

/** Both towers and the optimiser on an engine: takes batches of pairs, makes steps. */
export class ContrastiveTrainer {
  readonly #engine: Engine;
  readonly #model: DualEncoder;
  readonly #settings: ContrastiveSettings;
  readonly #packs: readonly Pack[];
  /** By name of the pack. */
  readonly #parameters = new Map<string, DeviceTensor>();
  readonly #programs: ProgramCache;
  readonly #optimiser: AdamW;

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
    this.#packs = packsOf(model);
    this.#programs = new ProgramCache(engine);
    this.#optimiser = new AdamW(engine, this.#programs, settings.optimiser, this.#parameters);
    this.restoreWeights(name => weights.get(name)!.data as Float32Array);
  }

  /**
   * One step of AdamW on clipped gradients; `step` counts from 1.
   *
   * @throws NonFiniteLossError and NonFiniteGradientError before anything is updated.
   */
  async step(batch: PairBatch, step: number, learningRate: number): Promise<PretrainStep> {
    const feeds = this.#feeds(batch);
    const program = await this.#programs.get('training step', () =>
      trainingGraph(this.#model, this.#settings, this.#settings.clip),
    );
    const results = await program.run({ ...Object.fromEntries(this.#parameters), ...feeds });
    disposeAll(feeds);
    const report = results[reportOutput]!;
    const numbers = await readFloats(this.#engine, report);
    const [loss, gradNorm] = [numbers[0]!, numbers[1]!];
    report.dispose();
    const gradients = this.#packs.map(({ name }) => [name, results[gradientName(name)]!] as const);
    if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
      for (const [, gradient] of gradients) gradient.dispose();
      throw Number.isFinite(loss)
        ? new NonFiniteGradientError(step, gradNorm)
        : new NonFiniteLossError(step, loss);
    }
    this.#optimiser.begin(step, learningRate);
    await this.#optimiser.applyTogether(new Map(gradients));
    await this.#limitScale();
    return { loss, gradNorm };
  }

  /** Everything learned so far, on the host. */
  async read(): Promise<TrainedState> {
    const state: TrainedState = { weights: new Map(), moments: null };
    const moments = { first: new Map<string, HostTensor>(), second: new Map<string, HostTensor>() };
    const fill = (target: Map<string, HostTensor>, pack: Pack, data: Float32Array): void => {
      for (const [name, tensor] of unpackNumbers(pack, data)) target.set(name, tensor);
    };
    for (const pack of this.#packs) {
      fill(state.weights, pack, await readFloats(this.#engine, this.#parameters.get(pack.name)!));
      const own = await this.#optimiser.readMoments(pack.name);
      if (!own) continue;
      fill(moments.first, pack, own.firstMoment);
      fill(moments.second, pack, own.secondMoment);
      state.moments = moments;
    }
    return state;
  }

  /** The parameters by checkpoint name, on the engine, as copies that the caller disposes of. */
  async upload(): Promise<Map<string, DeviceTensor>> {
    const { weights } = await this.read();
    return new Map(
      [...weights].map(([name, { shape, data }]) => [name, this.#engine.upload(shape, data as Float32Array)]),
    );
  }

  /** Replaces all weights. */
  restoreWeights(numbersOf: (name: string, shape: Shape) => Float32Array): void {
    for (const pack of this.#packs) this.#replace(pack, packNumbers(pack, numbersOf));
  }

  /** Replaces both moments of all weights. */
  restoreMoments(
    first: (name: string, shape: Shape) => Float32Array,
    second: (name: string, shape: Shape) => Float32Array,
  ): void {
    for (const pack of this.#packs)
      this.#optimiser.restoreMoments(pack.name, {
        firstMoment: packNumbers(pack, first),
        secondMoment: packNumbers(pack, second),
      });
  }

  async dispose(): Promise<void> {
    disposeAll(this.#parameters.values());
    this.#optimiser.dispose();
    await this.#programs.dispose();
  }

  #feeds({ pixels, ids }: PairBatch): Record<string, DeviceTensor> {
    const { imageSize } = this.#model.image;
    const pairs = this.#settings.batch * this.#settings.groups;
    const { contextLength, endOfText } = this.#model.text.architecture;
    // A text is read out where `TextTower` reads it.
    const ends = Int32Array.from({ length: pairs }, (_, row) => {
      const own = ids.subarray(row * contextLength, (row + 1) * contextLength);
      return row * contextLength + Math.max(0, own.indexOf(endOfText ?? Math.max(...own)));
    });
    return {
      [pixelsInput]: this.#engine.upload([pairs, 3, imageSize, imageSize], pixels),
      [idsInput]: this.#engine.upload([ids.length], ids),
      [causalInput]: this.#engine.upload([contextLength, contextLength], causalMask(contextLength)),
      [endsInput]: this.#engine.upload([pairs], ends),
    };
  }

  #replace({ name, shape }: Pack, data: Float32Array): void {
    this.#parameters.get(name)?.dispose();
    this.#parameters.set(name, this.#engine.upload(shape, data));
  }

  /** The temperature stays where OpenCLIP keeps it. */
  async #limitScale(): Promise<void> {
    const pack = this.#packs.find(({ name }) => name === logitScaleName)!;
    const scale = (await readFloats(this.#engine, this.#parameters.get(logitScaleName)!))[0]!;
    const limited = Math.min(Math.max(scale, logitScaleRange.least), logitScaleRange.most);
    if (limited !== scale) this.#replace(pack, Float32Array.of(limited));
  }
}
