import {
  type DeviceTensor,
  type Engine,
  type Feeds,
  type Program,
  readFloats,
  takeScalar,
} from '../engines/engine.ts';
import type { ProgramCache } from '../engines/programCache.ts';
import { add, multiply } from '../graph/operations/arithmetic.ts';
import { total } from '../graph/operations/reduction.ts';
import { sizeOf } from '../graph/shape.ts';
import { inputsOf, type Outputs, substitute } from '../graph/split.ts';
import { Value } from '../graph/value.ts';
import {
  type AdamWSettings,
  adamWScalarNames,
  adamWScalars,
  adamWUpdate,
  decaysWeight,
} from './optimiser.ts';
import { adamWUpdateOfVectors, inputName } from './vectorUpdate.ts';

interface Moments {
  firstMoment: DeviceTensor;
  secondMoment: DeviceTensor;
}

/** Both moments of a parameter on the host, as a checkpoint holds them. */
export interface HostMoments {
  firstMoment: Float32Array;
  secondMoment: Float32Array;
}

/** AdamW over named parameters on the device; replaces each parameter's tensor in the map it is given. */
export class AdamW {
  readonly #engine: Engine;
  readonly #programs: ProgramCache;
  readonly #settings: AdamWSettings;
  readonly #parameters: Map<string, DeviceTensor>;
  readonly #moments = new Map<string, Moments>();
  readonly #scaled: boolean;
  /** Gradients of vectors, which `end` applies together. */
  readonly #vectors = new Map<string, DeviceTensor>();
  #scalars: Record<string, DeviceTensor> = {};

  /** @param scaled whether gradients are those of a scaled loss. */
  constructor(
    engine: Engine,
    programs: ProgramCache,
    settings: AdamWSettings,
    parameters: Map<string, DeviceTensor>,
    scaled = false,
  ) {
    this.#scaled = scaled;
    this.#engine = engine;
    this.#programs = programs;
    this.#settings = settings;
    this.#parameters = parameters;
  }

  /**
   * Starts update `step` (from 1): every `apply` until `end` belongs to it.
   *
   * @param lossScale what gradients are divided by, where the optimiser was made for a scaled loss.
   */
  begin(step: number, learningRate: number, lossScale = 1): void {
    this.#disposeScalars();
    this.#disposeVectors();
    const scalars = adamWScalars(this.#settings, learningRate, step);
    for (const name of adamWScalarNames) this.#scalars[name] = this.#upload(scalars[name]);
    this.#scalars.squaredNorm = this.#upload(0);
    if (this.#scaled) this.#scalars.unscale = this.#upload(1 / lossScale);
  }

  /** Updates one parameter, a vector not before `end`; disposes of the gradient. */
  async apply(name: string, gradient: DeviceTensor): Promise<void> {
    const parameter = this.#parameters.get(name);
    if (!parameter) throw new Error(`no parameter '${name}' to update`);
    if (parameter.shape.length === 1) {
      this.#vectors.set(name, gradient);
      return;
    }
    const decays = this.#decays(name);
    const key = `adamw [${parameter.shape.join(', ')}] ${decays ? 'with' : 'without'} decay`;
    const program = await this.#programs.get(key, () =>
      adamWUpdate(parameter.shape, this.#settings, decays, this.#scaled),
    );
    const moments = this.#momentsOf(name, parameter);
    const { keep, ...others } = this.#scalars;
    const feeds = { ...others, ...(decays ? { keep: keep! } : {}), ...moments, parameter, gradient };
    const updated = await program.run(feeds);
    for (const tensor of [gradient, parameter, moments.firstMoment, moments.secondMoment]) tensor.dispose();
    this.#scalars.squaredNorm!.dispose();
    this.#scalars.squaredNorm = updated.squaredNorm!;
    this.#parameters.set(name, updated.parameter!);
    this.#moments.set(name, {
      firstMoment: updated.firstMoment!,
      secondMoment: updated.secondMoment!,
    });
  }

  /**
   * Updates several parameters in one run, to the same numbers as `apply`: in a small model a run for each costs more than
   * the update. They do not count in the norm that `end` returns. Disposes of the gradients.
   */
  async applyTogether(gradients: ReadonlyMap<string, DeviceTensor>): Promise<void> {
    const names = [...gradients.keys()];
    const marks = names.map(name => (this.#decays(name) ? `${name} with decay` : name));
    const program = await this.#programs.get(`adamw of ${marks.join(', ')}`, () => this.#updates(names));
    await this.#runTogether(program, gradients, this.#scalars);
  }

  /** Updates the vectors whose gradients have come. */
  async #applyVectors(): Promise<void> {
    if (this.#vectors.size === 0) return;
    const lengths = [...this.#vectors.values()].map(({ shape }) => sizeOf(shape));
    const program = await this.#programs.get(`adamw of vectors of ${lengths.join(', ')}`, () =>
      adamWUpdateOfVectors(lengths, this.#settings, this.#scaled),
    );
    const { keep: _, ...scalars } = this.#scalars;
    const { squaredNorm } = await this.#runTogether(program, this.#vectors, scalars);
    this.#vectors.clear();
    this.#scalars.squaredNorm!.dispose();
    this.#scalars.squaredNorm = squaredNorm!;
  }

  /** Runs a program of several updates, and puts its results in the place of what they update. */
  async #runTogether(
    program: Program,
    gradients: ReadonlyMap<string, DeviceTensor>,
    scalars: Feeds,
  ): Promise<Record<string, DeviceTensor>> {
    const names = [...gradients.keys()];
    const feeds: Record<string, DeviceTensor> = { ...scalars };
    for (const [index, name] of names.entries()) {
      const parameter = this.#parameters.get(name)!;
      const own = { parameter, gradient: gradients.get(name)!, ...this.#momentsOf(name, parameter) };
      for (const [input, tensor] of Object.entries(own)) feeds[inputName(index, input)] = tensor;
    }
    const updated = await program.run(feeds);
    for (const [index, name] of names.entries()) {
      gradients.get(name)!.dispose();
      this.#parameters.get(name)!.dispose();
      this.#disposeMoments(name);
      this.#parameters.set(name, updated[inputName(index, 'parameter')]!);
      this.#moments.set(name, {
        firstMoment: updated[inputName(index, 'firstMoment')]!,
        secondMoment: updated[inputName(index, 'secondMoment')]!,
      });
    }
    return updated;
  }

  /** Whether every number of these gradients of a scaled loss is finite; they stay. One run for all of them. */
  async areFinite(gradients: ReadonlyMap<string, DeviceTensor>, lossScale: number): Promise<boolean> {
    const tensors = [...gradients.values()];
    const key = `squares of ${tensors.map(({ shape }) => shape.join('x')).join(', ')}`;
    const factor = Value.input('unscale', []);
    const program = await this.#programs.get(key, () => ({
      sum: tensors
        .map(({ shape }, index) => multiply(Value.input(inputName(index, 'gradient'), shape), factor))
        .map(gradient => total(multiply(gradient, gradient)))
        .reduce((sum, each) => add(sum, each)),
    }));
    const unscale = this.#upload(1 / lossScale);
    const feeds = Object.fromEntries(
      tensors.map((gradient, index) => [inputName(index, 'gradient'), gradient]),
    );
    const { sum } = await program.run({ ...feeds, unscale });
    unscale.dispose();
    return Number.isFinite(await takeScalar(this.#engine, sum!));
  }

  /** The updates of several parameters as one graph; the scalars are shared. */
  #updates(names: readonly string[]): Outputs {
    const scalars = new Map<string, Value>(adamWScalarNames.map(name => [name, Value.input(name, [])]));
    const outputs: Record<string, Value> = {};
    for (const [index, name] of names.entries()) {
      const { shape } = this.#parameters.get(name)!;
      const { squaredNorm: _, ...update } = adamWUpdate(shape, this.#settings, this.#decays(name));
      const renamed = inputsOf(Object.values(update)).map(
        input =>
          [
            input,
            scalars.get(input.name!) ?? Value.input(inputName(index, input.name!), input.shape),
          ] as const,
      );
      for (const [output, value] of Object.entries(substitute(update, new Map(renamed))))
        outputs[inputName(index, output)] = value;
    }
    return outputs;
  }

  #decays(name: string): boolean {
    return decaysWeight(name, this.#parameters.get(name)!.shape) && this.#settings.weightDecay !== 0;
  }

  /** @returns the global L2 norm of the gradients that were applied since `begin`. */
  async end(): Promise<number> {
    await this.#applyVectors();
    const { squaredNorm } = this.#scalars;
    delete this.#scalars.squaredNorm;
    this.#disposeScalars();
    return Math.sqrt(await takeScalar(this.#engine, squaredNorm!));
  }

  /** Null before the first update. */
  async readMoments(name: string): Promise<HostMoments | null> {
    if (!this.#moments.has(name)) return null;
    const [firstMoment, secondMoment] = await Promise.all([
      this.readMoment(name, 'firstMoment'),
      this.readMoment(name, 'secondMoment'),
    ]);
    return { firstMoment, secondMoment };
  }

  /** Whether there were updates, so that there are moments. */
  hasMoments(name: string): boolean {
    return this.#moments.has(name);
  }

  /** One moment of a parameter that has them. */
  readMoment(name: string, moment: keyof HostMoments): Promise<Float32Array> {
    return readFloats(this.#engine, this.#moments.get(name)![moment]);
  }

  restoreMoments(name: string, { firstMoment, secondMoment }: HostMoments): void {
    const { shape } = this.#parameters.get(name)!;
    this.#disposeMoments(name);
    this.#moments.set(name, {
      firstMoment: this.#engine.upload(shape, firstMoment),
      secondMoment: this.#engine.upload(shape, secondMoment),
    });
  }

  dispose(): void {
    this.#disposeScalars();
    this.#disposeVectors();
    for (const name of [...this.#moments.keys()]) this.#disposeMoments(name);
  }

  #momentsOf(name: string, parameter: DeviceTensor): Moments {
    const known = this.#moments.get(name);
    if (known) return known;
    const zeros = new Float32Array(sizeOf(parameter.shape));
    const moments = {
      firstMoment: this.#engine.upload(parameter.shape, zeros),
      secondMoment: this.#engine.upload(parameter.shape, zeros),
    };
    this.#moments.set(name, moments);
    return moments;
  }

  #disposeMoments(name: string): void {
    const moments = this.#moments.get(name);
    moments?.firstMoment.dispose();
    moments?.secondMoment.dispose();
    this.#moments.delete(name);
  }

  #disposeVectors(): void {
    for (const gradient of this.#vectors.values()) gradient.dispose();
    this.#vectors.clear();
  }

  #disposeScalars(): void {
    for (const scalar of Object.values(this.#scalars)) scalar.dispose();
    this.#scalars = {};
  }

  #upload(value: number): DeviceTensor {
    return this.#engine.upload([], Float32Array.of(value));
  }
}
