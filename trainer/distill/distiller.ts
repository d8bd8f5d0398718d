import {
  type DeviceTensor,
  disposeAll,
  type Engine,
  type Feeds,
  type Program,
  readFloats,
  takeScalar,
} from '../engines/engine.ts';
import { ProgramCache } from '../engines/programCache.ts';
import { gradientName, splitForBackward, upstreamName } from '../graph/split.ts';
import type { Value } from '../graph/value.ts';
import type { VisionArchitecture } from '../models/architecture.ts';
import type { Precision } from '../models/stagePrecision.ts';
import { denseStages, imageStages } from '../models/visionStages.ts';
import { PositionInterpolations, VisionTower } from '../models/visionTower.ts';
import type { ActivationPlan } from './activationPlan.ts';
import { AdamW } from './adamW.ts';
import type { EmbeddingStore } from './embeddingStore.ts';
import { GradientSum } from './gradientSum.ts';
import { initialLossScale, isExhausted, type LossScale, nextLossScale } from './lossScale.ts';
import { type Nouns, NounTargets } from './nounTargets.ts';
import type { AdamWSettings } from './optimiser.ts';
import { passesOf } from './passes.ts';
import type { DistillationBatch, RegionLoss, RegionShape, RegionTargets } from './regionLoss.ts';
import { retentionLoss } from './retention.ts';
import type { StepImages, StepPeers } from './stepPeers.ts';
import { disposeTape, type GradientReceiver, Student } from './student.ts';
import { TeacherTargets } from './teacherTargets.ts';

export interface StepResult {
  loss: number;
  /** Global L2 norm of the gradients. */
  gradNorm: number;
  /** Cosine of every box with the teacher's crop embedding, or with its noun; by image. */
  cosines: number[][];
  /** In mixed precision the scale of the loss in this step; null otherwise. */
  lossScale: number | null;
  /** The gradients overflowed: nothing was updated, `gradNorm` is infinite, and the next scale is half of this one. */
  skipped: boolean;
}

/** The loss left the finite numbers; nothing was updated in that step. */
export class NonFiniteLossError extends Error {
  constructor(step: number, loss: number, precision: Precision = 'fp32') {
    super(
      `the loss became ${loss} at step ${step}: the weights up to the step before are intact. ` +
        (precision === 'fp16'
          ? 'Activations may be too large for half precision: take --precision fp32 in a new run'
          : 'Lower the learning rate (--lr) or look for a damaged checkpoint'),
    );
    this.name = 'NonFiniteLossError';
  }
}

/** A gradient left the finite numbers; the student's weights in memory are spoilt. */
export class NonFiniteGradientError extends Error {
  constructor(step: number, gradNorm: number) {
    super(
      `the gradient became ${gradNorm} at step ${step}: the last checkpoint is intact. ` +
        'Lower the learning rate (--lr) in a new run',
    );
    this.name = 'NonFiniteGradientError';
  }
}

/** Gradients overflow half precision at any scale of the loss; nothing was updated in that step. */
export class LossScaleError extends Error {
  override readonly name = 'LossScaleError';

  constructor(step: number, { skippedSteps }: LossScale) {
    super(
      `the gradients overflow half precision at step ${step} although the loss is no longer scaled (${skippedSteps} steps skipped): ` +
        'take --precision fp32 in a new run',
    );
  }
}

/**
 * The number of crops changes from step to step, and a compiled program holds on to the memory of its size. A tower
 * takes four programs, and one more brings its embeddings to the loss: those of the latest two numbers stay.
 */
const cropProgramCapacity = 10;

export interface DistillerSettings {
  /** Side of the student image in pixels. */
  size: number;
  /** Side of a teacher crop in pixels. */
  cropSize: number;
  maxBoxes: number;
  optimiser: AdamWSettings;
  /** What both towers compute in; fp32 by default. */
  precision?: Precision;
  /** Bytes of student activations kept for the backward pass. */
  activationBudget: number;
  /** Images that go through the student together; the gradients of a larger batch add up. All of them by default. */
  imagesPerPass?: number;
  /** Crops that go through the teacher together; all of a pass by default. */
  cropsAtOnce?: number;
  /** Weight of the CLIPSelf loss; 1 by default. */
  cosineWeight?: number;
  /** Weight of the retention of whole images; 0, the default, leaves it out. */
  retention?: number;
  /** Regions are compared with these nouns instead of the teacher's crop embeddings; null, the default, with those. */
  nouns?: Nouns | null;
  /** Where the teacher's embeddings of crops are kept from step to step; null, the default, where they are not. */
  embeddings?: EmbeddingStore | null;
  /** Other processes with images of the same step; null, the default, when a batch is the whole step. */
  peers?: StepPeers | null;
}

/** Teacher, student and optimiser on one engine: takes batches, makes steps of CLIPSelf or of region–noun pairs. */
export class Distiller {
  readonly optimiser: AdamW;
  /** The student's parameters by checkpoint name, replaced as it learns; frozen ones are the teacher's tensors. */
  readonly studentParameters: ReadonlyMap<string, DeviceTensor>;
  readonly teacherParameters: ReadonlyMap<string, DeviceTensor>;
  /** Names of the parameters that the student trains. */
  readonly trainable: ReadonlySet<string>;
  readonly #student: Map<string, DeviceTensor>;
  readonly #engine: Engine;
  readonly #architecture: VisionArchitecture;
  readonly #settings: DistillerSettings;
  readonly #programs: ProgramCache;
  readonly #cropPrograms: ProgramCache;
  readonly #interpolations: PositionInterpolations;
  readonly #teacherTower: VisionTower;
  readonly #teacherTargets: TeacherTargets;
  readonly #targets: RegionTargets;
  readonly #studentTower: Student;
  /** The student's embeddings of whole images, for their retention. */
  readonly #wholeImages: Student;
  readonly #precision: Precision;
  /** Null in fp32, where the loss is as it is. */
  #lossScale: LossScale | null;

  /**
   * @param teacher parameters by checkpoint name; the distiller disposes of them.
   * @param trainable names of those the student trains; it starts from copies.
   */
  static async create(
    engine: Engine,
    architecture: VisionArchitecture,
    teacher: ReadonlyMap<string, DeviceTensor>,
    trainable: readonly string[],
    settings: DistillerSettings,
  ): Promise<Distiller> {
    const student = new Map(teacher);
    for (const name of trainable) {
      const tensor = teacher.get(name)!;
      student.set(name, engine.upload(tensor.shape, await engine.read(tensor)));
    }
    return new Distiller(engine, architecture, teacher, student, new Set(trainable), settings);
  }

  private constructor(
    engine: Engine,
    architecture: VisionArchitecture,
    teacher: ReadonlyMap<string, DeviceTensor>,
    student: Map<string, DeviceTensor>,
    trainable: ReadonlySet<string>,
    settings: DistillerSettings,
  ) {
    this.#engine = engine;
    this.#architecture = architecture;
    this.teacherParameters = teacher;
    this.#student = student;
    this.studentParameters = student;
    this.trainable = trainable;
    this.#settings = settings;
    this.#programs = new ProgramCache(engine);
    this.#cropPrograms = new ProgramCache(engine, cropProgramCapacity);
    this.#interpolations = new PositionInterpolations(engine, architecture);
    const { precision = 'fp32' } = settings;
    this.#precision = precision;
    this.#lossScale = precision === 'fp16' ? initialLossScale : null;
    this.#teacherTower = new VisionTower(
      architecture,
      teacher,
      this.#cropPrograms,
      this.#interpolations,
      precision,
    );
    const { cropSize, activationBudget, cosineWeight = 1, nouns } = settings;
    const { cropsAtOnce = Number.POSITIVE_INFINITY } = settings;
    this.#teacherTargets = new TeacherTargets(
      engine,
      this.#teacherTower,
      this.#cropPrograms,
      cropSize,
      cosineWeight,
      cropsAtOnce,
      settings.embeddings ?? null,
    );
    this.#targets = nouns ? new NounTargets(engine, nouns) : this.#teacherTargets;
    const studentWith = (stages: typeof denseStages | typeof imageStages): Student =>
      new Student(
        architecture,
        student,
        trainable,
        this.#programs,
        this.#interpolations,
        activationBudget,
        stages,
        precision,
      );
    this.#studentTower = studentWith(denseStages);
    this.#wholeImages = studentWith(imageStages);
    const scaled = precision === 'fp16';
    this.optimiser = new AdamW(engine, this.#programs, settings.optimiser, student, scaled);
  }

  /** What the student keeps of the forward pass of `images` images. */
  activationPlan(images: number): ActivationPlan {
    const { size } = this.#settings;
    return this.#studentTower.planFor([images, 3, size, size]);
  }

  /** One training step; `step` counts from 1. Throws `NonFiniteLossError` before anything is updated. */
  async step(batch: DistillationBatch, step: number, learningRate: number): Promise<StepResult> {
    const { imagesPerPass = batch.boxCounts.length, retention = 0, peers = null } = this.#settings;
    const passes = passesOf(batch, imagesPerPass);
    const lossScale = this.#lossScale;
    let begun = false;
    const apply: GradientReceiver = (name, gradient) => {
      // Not before: a loss that is no number leaves everything as it was.
      if (!begun) {
        // As GradScaler does it, steps that were skipped are none for the optimiser.
        this.optimiser.begin(step - (lossScale?.skippedSteps ?? 0), learningRate, lossScale?.scale);
      }
      begun = true;
      return this.optimiser.apply(name, gradient);
    };
    // Of a scaled loss all gradients must be known to be finite before the first one counts.
    const held = new Map<string, DeviceTensor>();
    const hold: GradientReceiver = async (name, gradient) => void held.set(name, gradient);
    const update = lossScale ? hold : apply;
    const share: GradientReceiver = peers ? (name, gradient) => peers.add(name, gradient, update) : update;
    const gradients = new GradientSum(this.#programs);
    const several = passes.length > 1 || retention > 0;
    // The only or last gradient of each parameter updates it at once and is freed.
    const receiveLast = several ? gradients.addLast(share) : share;
    try {
      const whole = peers ? await peers.gather(batch) : batch;
      let loss = 0;
      const cosines: number[][] = [];
      for (const part of passes) {
        if (retention > 0) loss += await this.#retainPass(part, whole, step, gradients.add);
        const receive = part === passes.at(-1) ? receiveLast : gradients.add;
        const results = await this.#regionPass(part, whole, step, receive);
        loss += results.loss;
        cosines.push(...results.cosines);
      }
      await gradients.deliver(share);
      await peers?.finish(update);
      if (peers) loss = await peers.sumLoss(loss);
      const scale = lossScale?.scale ?? null;
      if (lossScale) {
        const finite = await this.optimiser.areFinite(held, lossScale.scale);
        this.#lossScale = nextLossScale(lossScale, finite);
        if (isExhausted(this.#lossScale)) throw new LossScaleError(step, this.#lossScale);
        if (!finite)
          return { loss, gradNorm: Number.POSITIVE_INFINITY, cosines, lossScale: scale, skipped: true };
        for (const [name, gradient] of held) {
          held.delete(name);
          await apply(name, gradient);
        }
      }
      const gradNorm = await this.optimiser.end();
      if (!Number.isFinite(gradNorm)) throw new NonFiniteGradientError(step, gradNorm);
      return { loss, gradNorm, cosines, lossScale: scale, skipped: false };
    } finally {
      gradients.dispose();
      disposeAll(held.values());
    }
  }

  /** Forward and backward over the regions of one pass. */
  async #regionPass(
    part: DistillationBatch,
    whole: StepImages,
    step: number,
    receive: GradientReceiver,
  ): Promise<Pick<StepResult, 'loss' | 'cosines'>> {
    const regionLoss = await this.#targets.lossOf(part, whole, this.#shapeOf(part), step);
    const pixels = this.#uploadImages(part);
    const { output: dense, tape } = await this.#studentTower.forward(pixels);
    const feeds = { ...regionLoss.feeds, dense };
    try {
      const program = await this.#lossProgram(regionLoss);
      const { loss, cosines } = await program.run(feeds);
      const lossValue = await takeScalar(this.#engine, loss!);
      const agreement = await this.#takeCosines(cosines!, part);
      if (!Number.isFinite(lossValue)) throw new NonFiniteLossError(step, lossValue, this.#precision);
      const denseGradient = await this.#lossGradient(regionLoss, feeds);
      await this.#studentTower.backward(tape, denseGradient, receive);
      return { loss: lossValue, cosines: agreement };
    } finally {
      disposeTape(tape);
      disposeAll(feeds);
      pixels.dispose();
    }
  }

  /** Forward and backward over the whole images of one pass. */
  async #retainPass(
    { wholes }: DistillationBatch,
    whole: StepImages,
    step: number,
    receive: GradientReceiver,
  ): Promise<number> {
    const { cropSize, retention = 0 } = this.#settings;
    const images = wholes!.length / (3 * cropSize * cropSize);
    const { embeddingDimension } = this.#architecture;
    const pixels = this.#engine.upload([images, 3, cropSize, cropSize], wholes!);
    const weights = new Float32Array(images).fill(retention / whole.boxCounts.length);
    const teacher = await this.#teacherTower.encodeImage(pixels);
    const { output: student, tape } = await this.#wholeImages.forward(pixels);
    const feeds = { student, teacher, weights: this.#engine.upload([images, 1], weights) };
    const graph = () => ({ loss: retentionLoss(images, embeddingDimension) });
    try {
      const program = await this.#programs.get(`retention ${images}`, graph);
      const { loss } = await program.run(feeds);
      const lossValue = await takeScalar(this.#engine, loss!);
      if (!Number.isFinite(lossValue)) throw new NonFiniteLossError(step, lossValue, this.#precision);
      const gradient = await this.#gradientOf(`retention gradient ${images}`, graph, 'student', feeds);
      await this.#wholeImages.backward(tape, gradient, receive);
      return lossValue;
    } finally {
      disposeTape(tape);
      disposeAll(feeds);
      pixels.dispose();
    }
  }

  /** Student/teacher cosines of a batch, by image, without learning from it. */
  async compare(
    batch: DistillationBatch,
    student: ReadonlyMap<string, DeviceTensor> = this.#student,
  ): Promise<number[][]> {
    const regionLoss = await this.#teacherTargets.lossOf(batch, batch, this.#shapeOf(batch));
    const pixels = this.#uploadImages(batch);
    const tower = new VisionTower(
      this.#architecture,
      student,
      this.#programs,
      this.#interpolations,
      this.#precision,
    );
    const dense = await tower.encodeDense(pixels);
    const program = await this.#lossProgram(regionLoss);
    const { loss, cosines } = await program.run({ ...regionLoss.feeds, dense });
    disposeAll([...Object.values(regionLoss.feeds), dense, pixels, loss!]);
    return this.#takeCosines(cosines!, batch);
  }

  /** The state of the loss scale, for a checkpoint; null in fp32. */
  get lossScale(): LossScale | null {
    return this.#lossScale;
  }

  /** Takes up the loss scale of a checkpoint. */
  restoreLossScale(state: LossScale): void {
    if (!this.#lossScale) throw new Error('in fp32 the loss is not scaled');
    this.#lossScale = state;
  }

  /** Replaces one of the student's parameters, to resume from a checkpoint. */
  restore(name: string, data: Float32Array): void {
    const current = this.#student.get(name);
    if (!current || !this.trainable.has(name)) throw new Error(`'${name}' does not train`);
    this.#student.set(name, this.#engine.upload(current.shape, data));
    current.dispose();
  }

  async dispose(): Promise<void> {
    for (const name of this.trainable) this.#student.get(name)!.dispose();
    disposeAll(this.teacherParameters.values());
    this.optimiser.dispose();
    this.#interpolations.dispose();
    await this.#cropPrograms.dispose();
    await this.#programs.dispose();
  }

  #uploadImages({ images, boxCounts, size = this.#settings.size }: DistillationBatch): DeviceTensor {
    return this.#engine.upload([boxCounts.length, 3, size, size], images);
  }

  #shapeOf({ boxCounts, size = this.#settings.size }: DistillationBatch): RegionShape {
    const { embeddingDimension, patchSize } = this.#architecture;
    const tokens = Math.floor(size / patchSize) ** 2;
    return { batch: boxCounts.length, tokens, maxBoxes: this.#settings.maxBoxes, embeddingDimension };
  }

  #lossProgram({ key, graph }: RegionLoss): Promise<Program> {
    return this.#programs.get(`loss ${key}`, () => ({ ...graph() }));
  }

  #lossGradient({ key, graph }: RegionLoss, feeds: Feeds): Promise<DeviceTensor> {
    return this.#gradientOf(`loss gradient ${key}`, () => ({ loss: graph().loss }), 'dense', feeds);
  }

  /** Gradient of the output `loss` of a graph. */
  async #gradientOf(
    key: string,
    graph: () => { loss: Value },
    input: string,
    feeds: Feeds,
  ): Promise<DeviceTensor> {
    const program = await this.#programs.get(
      key,
      () => splitForBackward(graph(), [input], 'recompute').backward,
    );
    const upstream = this.#engine.upload([], Float32Array.of(this.#lossScale?.scale ?? 1));
    const results = await program.run({ ...feeds, [upstreamName('loss')]: upstream });
    upstream.dispose();
    return results[gradientName(input)]!;
  }

  async #takeCosines(cosines: DeviceTensor, { boxCounts }: DistillationBatch): Promise<number[][]> {
    const values = await readFloats(this.#engine, cosines);
    cosines.dispose();
    const { maxBoxes } = this.#settings;
    return boxCounts.map((count, image) => [...values.subarray(image * maxBoxes, image * maxBoxes + count)]);
  }
}
