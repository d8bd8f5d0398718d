import { type DeviceTensor, disposeAll, type Program } from '../engines/engine.ts';
import type { ProgramCache } from '../engines/programCache.ts';
import { sizeOf } from '../graph/shape.ts';
import {
  type ForwardBackward,
  gradientName,
  type SavePolicy,
  splitForBackward,
  upstreamName,
} from '../graph/split.ts';
import type { VisionArchitecture } from '../models/architecture.ts';
import type { ImageBatch, VisionStage } from '../models/visionStage.ts';
import { denseStages } from '../models/visionStages.ts';
import {
  imageBatchOf,
  type Parameters,
  type PositionInterpolations,
  stageFeeds,
} from '../models/visionTower.ts';

/** What a stage's backward pass needs of its forward pass. */
interface TapeEntry {
  plan: StagePlan;
  input: DeviceTensor;
  saved: Record<string, DeviceTensor>;
}

interface StagePlan {
  stage: VisionStage;
  /** Key of the stage's programs. */
  key: string;
  /** Null for a frozen stage before every trainable one: it needs no backward pass. */
  split: ForwardBackward | null;
  /** Graph inputs whose gradients are wanted. */
  wanted: readonly string[];
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
  readonly #stagesOf: StagesOf;
  readonly #plans = new Map<string, StagePlan[]>();

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
  ) {
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
    const batch = imageBatchOf(this.#architecture, pixels);
    const tables = this.#interpolations.feedsFor(batch);
    const tape: Tape = { entries: [], pixels };
    let input = pixels;
    try {
      for (const plan of this.#plan(batch)) {
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
    const batch = imageBatchOf(this.#architecture, tape.pixels);
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

  /** Decides once for each input size which stages keep their activations. */
  #plan(batch: ImageBatch): StagePlan[] {
    const key = `${batch.batch}x${batch.height}x${batch.width}`;
    const known = this.#plans.get(key);
    if (known) return known;
    const plans: StagePlan[] = [];
    let kept = 0;
    let reached = false;
    for (const stage of this.#stagesOf(this.#architecture, batch)) {
      const wanted = Object.entries(stage.parameters)
        .filter(([, checkpointName]) => this.#trainable.has(checkpointName))
        .map(([name]) => name);
      if (reached) wanted.push('input');
      else if (wanted.length === 0) {
        plans.push({ stage, key: stage.key, split: null, wanted });
        continue;
      }
      reached = true;
      const outputs = { output: stage.output };
      const keep = splitForBackward(outputs, wanted, 'keep');
      const bytes = keep.savedNames.reduce((sum, name) => sum + 4 * sizeOf(keep.forward[name]!.shape), 0);
      const policy: SavePolicy = kept + bytes <= this.#activationBudget ? 'keep' : 'recompute';
      if (policy === 'keep') kept += bytes;
      const split = policy === 'keep' ? keep : splitForBackward(outputs, wanted, policy);
      plans.push({ stage, key: `${stage.key} ${policy} ${wanted.join(' ')}`, split, wanted });
    }
    this.#plans.set(key, plans);
    return plans;
  }

  #forwardProgram({ stage, key, split }: StagePlan): Promise<Program> {
    if (!split || split.savedNames.length === 0)
      return this.#programs.get(stage.key, () => ({ output: stage.output }));
    return this.#programs.get(`forward ${key}`, () => split.forward);
  }

  #backwardProgram({ key, split }: StagePlan): Promise<Program> {
    return this.#programs.get(`backward ${key}`, () => split!.backward);
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
