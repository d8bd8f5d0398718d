import { type DeviceTensor, disposeAll, type Engine } from '../engines/engine.ts';
import type { VisionArchitecture } from '../models/architecture.ts';
import type { Precision } from '../models/stagePrecision.ts';
import type { ActivationPlan } from './activationPlan.ts';
import { AdamW } from './adamW.ts';
import type { EmbeddingStore } from './embeddingStore.ts';
import { type Loss, LossPrograms, type LossValue } from './lossPrograms.ts';
import { initialLossScale, isExhausted, type LossScale, nextLossScale } from './lossScale.ts';
import { type Nouns, NounTargets } from './nounTargets.ts';
import type { AdamWSettings } from './optimiser.ts';
import { passesOf } from './passes.ts';
import type { DistillationBatch, RegionShape, RegionTargets } from './regionLoss.ts';
import { type RetentionTarget, retentionOf } from './retention.ts';
import { LossScaleError, NonFiniteLossError } from './stepErrors.ts';
import type { StepImages, StepPeers } from './stepPeers.ts';
import { StepUpdate } from './stepUpdate.ts';
import { disposeTape, type GradientReceiver, type Student } from './student.ts';
import { TeacherTargets } from './teacherTargets.ts';
import { Towers } from './towers.ts';

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
  readonly #engine: Engine;
  readonly #architecture: VisionArchitecture;
  readonly #settings: DistillerSettings;
  readonly #towers: Towers;
  readonly #losses: LossPrograms;
  readonly #teacherTargets: TeacherTargets;
  readonly #targets: RegionTargets;
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
    const { precision = 'fp32', activationBudget } = settings;
    const kept = { precision, activationBudget };
    const towers = await Towers.create(engine, architecture, teacher, trainable, kept);
    return new Distiller(engine, architecture, towers, settings);
  }

  private constructor(
    engine: Engine,
    architecture: VisionArchitecture,
    towers: Towers,
    settings: DistillerSettings,
  ) {
    this.#engine = engine;
    this.#architecture = architecture;
    this.#towers = towers;
    this.#settings = settings;
    const { precision = 'fp32', cropSize, cosineWeight = 1, nouns, embeddings = null } = settings;
    const { cropsAtOnce = Number.POSITIVE_INFINITY } = settings;
    const { programs, cropPrograms, teacher, studentParameters } = towers;
    this.#losses = new LossPrograms(engine, programs);
    this.#teacherTargets = new TeacherTargets(
      engine,
      teacher,
      cropPrograms,
      cropSize,
      cosineWeight,
      cropsAtOnce,
      embeddings,
    );
    this.#targets = nouns ? new NounTargets(engine, nouns) : this.#teacherTargets;
    const scaled = precision === 'fp16';
    this.#lossScale = scaled ? initialLossScale : null;
    this.optimiser = new AdamW(engine, programs, settings.optimiser, studentParameters, scaled);
  }

  /** The student's parameters by checkpoint name, replaced as it learns; frozen ones are the teacher's tensors. */
  get studentParameters(): ReadonlyMap<string, DeviceTensor> {
    return this.#towers.studentParameters;
  }

  /** Names of the parameters that the student trains. */
  get trainable(): ReadonlySet<string> {
    return this.#towers.trainable;
  }

  /** What the student keeps of the forward pass of `images` images of a side. */
  activationPlan(images: number, size = this.#settings.size): ActivationPlan {
    return this.#towers.student.planFor([images, 3, size, size]);
  }

  /**
   * One training step. In each pass the teacher embeds the crops, the student's dense features are pooled over the boxes
   * and compared with them, and the gradient of the loss goes back through the student to AdamW.
   *
   * @param step from 1.
   * @throws NonFiniteLossError and LossScaleError before anything is updated; NonFiniteGradientError after that.
   */
  async step(batch: DistillationBatch, step: number, learningRate: number): Promise<StepResult> {
    const { imagesPerPass = batch.boxCounts.length, retention = 0, peers = null } = this.#settings;
    const passes = passesOf(batch, imagesPerPass);
    const lossScale = this.#lossScale;
    const several = passes.length > 1 || retention > 0;
    const order = { step, learningRate, several, lossScale, peers };
    const update = new StepUpdate(this.optimiser, this.#towers.programs, order);
    try {
      const whole = peers ? await peers.gather(batch) : batch;
      const cosines: number[][] = [];
      let loss = 0;
      for (const part of passes) {
        if (retention > 0) loss += await this.#retainPass(part, whole, step, update.early);
        const receive = part === passes.at(-1) ? update.last : update.early;
        const regions = await this.#regionPass(part, whole, step, receive);
        loss += regions.loss;
        cosines.push(...regions.cosines);
      }
      await update.gather();
      if (peers) loss = await peers.sumLoss(loss);
      const result = { loss, cosines, lossScale: lossScale?.scale ?? null };
      if (lossScale && !(await this.#judge(update, lossScale, step)))
        return { ...result, gradNorm: Number.POSITIVE_INFINITY, skipped: true };
      return { ...result, gradNorm: await update.finish(), skipped: false };
    } finally {
      update.dispose();
    }
  }

  /** Whether the gradients of a scaled loss are finite; the next scale follows from it. */
  async #judge(update: StepUpdate, lossScale: LossScale, step: number): Promise<boolean> {
    const finite = await update.areFinite(lossScale);
    this.#lossScale = nextLossScale(lossScale, finite);
    if (isExhausted(this.#lossScale)) throw new LossScaleError(step, this.#lossScale);
    return finite;
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
    const { loss, cosines } = await this.#learn(this.#towers.student, pixels, regionLoss, step, receive);
    return { loss, cosines: this.#byImage(cosines, part) };
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
    const pixels = this.#engine.upload([images, 3, cropSize, cropSize], wholes!);
    const target: RetentionTarget = {
      images,
      teacher: await this.#towers.teacher.encodeImage(pixels),
      weight: retention / whole.boxCounts.length,
    };
    const retained = retentionOf(this.#engine, target);
    return (await this.#learn(this.#towers.wholeImages, pixels, retained, step, receive)).loss;
  }

  /** Forward pass, loss and backward pass; disposes of the pixels and of what feeds the loss. */
  async #learn(
    student: Student,
    pixels: DeviceTensor,
    loss: Loss,
    step: number,
    receive: GradientReceiver,
  ): Promise<LossValue> {
    const { output, tape } = await student.forward(pixels);
    try {
      const value = await this.#losses.evaluate(loss, output);
      if (!Number.isFinite(value.loss))
        throw new NonFiniteLossError(step, value.loss, this.#settings.precision);
      const gradient = await this.#losses.gradient(loss, output, this.#lossScale?.scale ?? 1);
      await student.backward(tape, gradient, receive);
      return value;
    } finally {
      disposeTape(tape);
      disposeAll(loss.feeds);
      output.dispose();
      pixels.dispose();
    }
  }

  /** Student/teacher cosines of a batch, by image, without learning from it. */
  async compare(
    batch: DistillationBatch,
    student: ReadonlyMap<string, DeviceTensor> = this.studentParameters,
  ): Promise<number[][]> {
    const regionLoss = await this.#teacherTargets.lossOf(batch, batch, this.#shapeOf(batch));
    const pixels = this.#uploadImages(batch);
    const dense = await this.#towers.with(student).encodeDense(pixels);
    const { cosines } = await this.#losses.evaluate(regionLoss, dense);
    disposeAll([...Object.values(regionLoss.feeds), dense, pixels]);
    return this.#byImage(cosines, batch);
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
    this.#towers.restore(name, data);
  }

  async dispose(): Promise<void> {
    this.optimiser.dispose();
    await this.#towers.dispose();
  }

  #uploadImages({ images, boxCounts, size = this.#settings.size }: DistillationBatch): DeviceTensor {
    return this.#engine.upload([boxCounts.length, 3, size, size], images);
  }

  #shapeOf({ boxCounts, size = this.#settings.size }: DistillationBatch): RegionShape {
    const { embeddingDimension, patchSize } = this.#architecture;
    const tokens = Math.floor(size / patchSize) ** 2;
    return { batch: boxCounts.length, tokens, maxBoxes: this.#settings.maxBoxes, embeddingDimension };
  }

  /** Values of rows `[images · maxBoxes]` that hold a box, by image. */
  #byImage(values: Float32Array, { boxCounts }: DistillationBatch): number[][] {
    const { maxBoxes } = this.#settings;
    return boxCounts.map((count, image) => [...values.subarray(image * maxBoxes, image * maxBoxes + count)]);
  }
}
