import { type DeviceTensor, disposeAll, type Engine, readFloats, takeScalar } from '../engines/engine.ts';
import { ProgramCache } from '../engines/programCache.ts';
import { gradientName, splitForBackward, upstreamName } from '../graph/split.ts';
import type { VisionArchitecture } from '../models/architecture.ts';
import { PositionInterpolations, VisionTower } from '../models/visionTower.ts';
import { AdamW } from './adamW.ts';
import { clipSelfLoss, type DistillationShape } from './clipself.ts';
import type { AdamWSettings } from './optimiser.ts';
import { disposeTape, Student } from './student.ts';

/** Images, crops and boxes of one step on the host. */
export interface DistillationBatch {
  /** Student images [B, 3, S, S], normalised. */
  images: Float32Array;
  /** Teacher crops [K, 3, c, c], image after image. */
  crops: Float32Array;
  /** Boxes of each image; their sum is K. */
  boxCounts: readonly number[];
  /** [B, maxBoxes, tokens], RoIAlign rows; zero beyond an image's count. */
  pooling: Float32Array;
}

export interface StepResult {
  loss: number;
  /** Global L2 norm of the gradients. */
  gradNorm: number;
  /** Student/teacher cosine of every box, by image. */
  cosines: number[][];
}

/** The loss left the finite numbers; nothing was updated in that step. */
export class NonFiniteLossError extends Error {
  constructor(step: number, loss: number) {
    super(
      `the loss became ${loss} at step ${step}: the weights up to the step before are intact. ` +
        'Lower the learning rate (--lr) or look for a damaged checkpoint',
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

/**
 * The number of crops changes from step to step, and a compiled program holds on to the memory of its size. A tower
 * takes four programs: those of the latest two numbers stay.
 */
const cropProgramCapacity = 8;

export interface DistillerSettings {
  /** Side of the student image in pixels. */
  size: number;
  /** Side of a teacher crop in pixels. */
  cropSize: number;
  maxBoxes: number;
  optimiser: AdamWSettings;
  /** Bytes of student activations kept for the backward pass. */
  activationBudget: number;
}

/** Teacher, student and optimiser on one engine: takes batches, makes CLIPSelf steps. */
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
  readonly #studentTower: Student;

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
    this.#teacherTower = new VisionTower(architecture, teacher, this.#cropPrograms, this.#interpolations);
    this.#studentTower = new Student(
      architecture,
      student,
      trainable,
      this.#programs,
      this.#interpolations,
      settings.activationBudget,
    );
    this.optimiser = new AdamW(engine, this.#programs, settings.optimiser, student);
  }

  /** One training step; `step` counts from 1. Throws `NonFiniteLossError` before anything is updated. */
  async step(batch: DistillationBatch, step: number, learningRate: number): Promise<StepResult> {
    const { feeds, shape } = await this.#lossFeeds(batch);
    const pixels = this.#uploadImages(batch);
    const { dense, tape } = await this.#studentTower.forward(pixels);
    const lossFeeds = { ...feeds, dense };
    try {
      const program = await this.#lossProgram(shape);
      const { loss, cosines } = await program.run(lossFeeds);
      const lossValue = await takeScalar(this.#engine, loss!);
      const agreement = await this.#takeCosines(cosines!, batch);
      if (!Number.isFinite(lossValue)) throw new NonFiniteLossError(step, lossValue);
      const denseGradient = await this.#lossGradient(shape, lossFeeds);
      this.optimiser.begin(step, learningRate);
      await this.#studentTower.backward(tape, denseGradient, (name, gradient) =>
        this.optimiser.apply(name, gradient),
      );
      const gradNorm = await this.optimiser.end();
      if (!Number.isFinite(gradNorm)) throw new NonFiniteGradientError(step, gradNorm);
      return { loss: lossValue, gradNorm, cosines: agreement };
    } finally {
      disposeTape(tape);
      disposeAll(lossFeeds);
      pixels.dispose();
    }
  }

  /** Student/teacher cosines of a batch, by image, without learning from it. */
  async compare(
    batch: DistillationBatch,
    student: ReadonlyMap<string, DeviceTensor> = this.#student,
  ): Promise<number[][]> {
    const { feeds, shape } = await this.#lossFeeds(batch);
    const pixels = this.#uploadImages(batch);
    const tower = new VisionTower(this.#architecture, student, this.#programs, this.#interpolations);
    const dense = await tower.encodeDense(pixels);
    const program = await this.#lossProgram(shape);
    const { loss, cosines } = await program.run({ ...feeds, dense });
    disposeAll([...Object.values(feeds), dense, pixels, loss!]);
    return this.#takeCosines(cosines!, batch);
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

  #uploadImages({ images, boxCounts }: DistillationBatch): DeviceTensor {
    const { size } = this.#settings;
    return this.#engine.upload([boxCounts.length, 3, size, size], images);
  }

  /** Teacher embeddings, pooling matrix and box weights of the loss; all crops go through the teacher together. */
  async #lossFeeds(
    batch: DistillationBatch,
  ): Promise<{ feeds: Record<string, DeviceTensor>; shape: DistillationShape }> {
    const { cropSize, maxBoxes, size } = this.#settings;
    const { embeddingDimension, patchSize } = this.#architecture;
    const images = batch.boxCounts.length;
    const boxes = batch.boxCounts.reduce((sum, count) => sum + count, 0);
    const tokens = Math.floor(size / patchSize) ** 2;
    const crops = this.#engine.upload([boxes, 3, cropSize, cropSize], batch.crops);
    const embedded = await this.#teacherTower.encodeImage(crops);
    const embeddings = await readFloats(this.#engine, embedded);
    disposeAll([crops, embedded]);

    const teacher = new Float32Array(images * maxBoxes * embeddingDimension);
    const weights = new Float32Array(images * maxBoxes);
    let first = 0;
    batch.boxCounts.forEach((count, image) => {
      const rows = embeddings.subarray(first * embeddingDimension, (first + count) * embeddingDimension);
      teacher.set(rows, image * maxBoxes * embeddingDimension);
      weights.fill(1 / boxes, image * maxBoxes, image * maxBoxes + count);
      first += count;
    });
    const feeds = {
      teacher: this.#engine.upload([images, maxBoxes, embeddingDimension], teacher),
      pooling: this.#engine.upload([images, maxBoxes, tokens], batch.pooling),
      weights: this.#engine.upload([images, maxBoxes], weights),
    };
    return { feeds, shape: { batch: images, tokens, maxBoxes, embeddingDimension } };
  }

  #lossProgram(shape: DistillationShape) {
    return this.#programs.get(lossKey('loss', shape), () => clipSelfLoss(shape));
  }

  async #lossGradient(
    shape: DistillationShape,
    feeds: Readonly<Record<string, DeviceTensor>>,
  ): Promise<DeviceTensor> {
    const program = await this.#programs.get(lossKey('loss gradient', shape), () => {
      const { loss } = clipSelfLoss(shape);
      return splitForBackward({ loss }, ['dense'], 'recompute').backward;
    });
    const upstream = this.#engine.upload([], Float32Array.of(1));
    const results = await program.run({ ...feeds, [upstreamName('loss')]: upstream });
    upstream.dispose();
    return results[gradientName('dense')]!;
  }

  async #takeCosines(cosines: DeviceTensor, { boxCounts }: DistillationBatch): Promise<number[][]> {
    const values = await readFloats(this.#engine, cosines);
    cosines.dispose();
    const { maxBoxes } = this.#settings;
    return boxCounts.map((count, image) => [...values.subarray(image * maxBoxes, image * maxBoxes + count)]);
  }
}

const lossKey = (name: string, { batch, tokens, maxBoxes }: DistillationShape): string =>
  `${name} ${batch}x${tokens}x${maxBoxes}`;
