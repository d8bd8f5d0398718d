import { type DeviceTensor, disposeAll, type Program } from '../engines/engine.ts';
import type { ProgramCache } from '../engines/programCache.ts';
import type { Shape } from '../graph/shape.ts';
import { gradientName, upstreamName } from '../graph/split.ts';
import type { VisionArchitecture } from '../models/architecture.ts';
import { type Parameters, stageFeeds } from '../models/stageFeeds.ts';
import type { Precision } from '../models/stagePrecision.ts';
import type { ImageBatch, VisionStage } from '../models/visionStage.ts';
import { denseStages } from '../models/visionStages.ts';
import type { PositionInterpolations } from '../models/visionTower.ts';
import { type ActivationPlan, planActivations, type StagePlan } from './activationPlan.ts';

/** What a stage's backward pass needs of its forward pass. */
interface TapeEntry {
  plan: StagePlan;
  input: DeviceTensor;
  saved: Record<string, DeviceTensor>;
}

/** The record of one forward pass; consumed by `backward`, or disposed of. */
export interface Tape {
  entries: TapeEntry[];
  pixels: DeviceTensor;
}

/** A gradient of one parameter; whoever receives it disposes of it. */
export type GradientReceiver = (checkpointName: string, gradient: DeviceTensor) => Promise<void>;

type StagesOf = (architecture: VisionArchitecture, batch: ImageBatch) => VisionStage[];

/** The student tower, in dense mode unless told otherwise, with its backward pass, stage by stage. */
export class Student {
  readonly #architecture: VisionArchitecture;
  readonly #parameters: Parameters;
  readonly #trainable: ReadonlySet<string>;
  readonly #programs: ProgramCache;
  readonly #interpolations: PositionInterpolations;
  readonly #activationBudget: number;
  readonly #plans = new Map<string, ActivationPlan>();
  readonly #stagesOf: StagesOf;
  readonly #precision: Precision;

  /**
   * @param activationBudget bytes of activations kept for the backward pass; stages beyond it recompute theirs.
   * @param stagesOf what the tower computes; dense features when left out.
   */
  constructor(
    architecture: VisionArchitecture,
    parameters: Parameters,
    trainable: Iterable<string>,
    programs: ProgramCache,
    interpolations: PositionInterpolations,
    activationBudget: number,
    stagesOf: StagesOf = denseStages,
    precision: Precision = 'fp32',
  ) {
    this.#precision = precision;
    this.#architecture = architecture;
    this.#parameters = parameters;
    this.#trainable = new Set(trainable);
    this.#programs = programs;
    this.#interpolations = interpolations;
    this.#activationBudget = activationBudget;
    this.#stagesOf = stagesOf;
  }

  /** Pixels `[B, 3, H, W]` → dense features `[B · rows · columns, D]` of unit norm, or what the stages give; and the tape. */
  async forward(pixels: DeviceTensor): Promise<{ output: DeviceTensor; tape: Tape }> {
    const batch = this.#interpolations.batchOf(pixels);
    const tables = this.#interpolations.feedsFor(batch);
    const tape: Tape = { entries: [], pixels };
    let input = pixels;
    try {
      for (const plan of this.#plan(batch).stages) {
        const feeds = stageFeeds(plan.stage, input, this.#parameters, tables);
        const { output, ...saved } = await (await this.#forwardProgram(plan)).run(feeds);
        if (plan.split) tape.entries.push({ plan, input, saved });
        else if (input !== pixels) input.dispose();
        input = output!;
      }
      return { output: input, tape };
    } catch (error) {
      disposeTape(tape);
      throw error;
    }
  }

  /** Walks the tape backwards from the gradient of the output; consumes both. */
  async backward(tape: Tape, outputGradient: DeviceTensor, receive: GradientReceiver): Promise<void> {
    const batch = this.#interpolations.batchOf(tape.pixels);
    const tables = this.#interpolations.feedsFor(batch);
    let upstream = outputGradient;
    while (tape.entries.length > 0) {
      const { plan, input, saved } = tape.entries.pop()!;
      const program = await this.#backwardProgram(plan);
      const feeds = {
        ...stageFeeds(plan.stage, input, this.#parameters, tables),
        ...saved,
        [upstreamName('output')]: upstream,
      };
      const results = await program.run(onlyInputs(program, feeds));
      disposeAll(saved);
      upstream.dispose();
      if (input !== tape.pixels) input.dispose();
      const inputGradient = results[gradientName('input')];
      for (const [name, checkpointName] of Object.entries(plan.stage.parameters)) {
        const gradient = results[gradientName(name)];
        if (gradient) await receive(checkpointName, gradient);
      }
      if (!inputGradient) return;
      upstream = inputGradient;
    }
    upstream.dispose();
  }

  /** What is kept of the forward pass of pixels of this shape. */
  planFor(shape: Shape): ActivationPlan {
    return this.#plan(this.#interpolations.batchOf({ shape }));
  }

  /** Decided once for each input size. */
  #plan(batch: ImageBatch): ActivationPlan {
    const key = `${batch.batch}x${batch.height}x${batch.width}`;
    let plan = this.#plans.get(key);
    if (!plan) {
      plan = planActivations(
        this.#stagesOf(this.#architecture, batch),
        this.#trainable,
        this.#activationBudget,
        this.#precision,
      );
      this.#plans.set(key, plan);
    }
    return plan;
  }

  #forwardProgram({ stage, key, split, atPrecision, placeKey }: StagePlan): Promise<Program> {
    if (!split || split.savedNames.length === 0)
      return this.#programs.get(placeKey, () => atPrecision({ output: stage.output }));
    return this.#programs.get(`forward ${key}`, () => atPrecision(split.forward));
  }

  #backwardProgram({ key, split, atPrecision }: StagePlan): Promise<Program> {
    return this.#programs.get(`backward ${key}`, () => atPrecision(split!.backward));
  }
}

/** Disposes of what a forward pass kept, when no backward pass follows. */
export function disposeTape(tape: Tape): void {
  for (const { input, saved } of tape.entries.splice(0)) {
    disposeAll(saved);
    if (input !== tape.pixels) input.dispose();
  }
}

/** A backward pass does not need every tensor of the forward pass. */
const onlyInputs = (program: Program, feeds: Record<string, DeviceTensor>): Record<string, DeviceTensor> =>
  Object.fromEntries(Object.keys(program.inputs).map(name => [name, feeds[name]!]));
