import { type DeviceTensor, disposeAll, type Engine } from '../engines/engine.ts';
import { ProgramCache } from '../engines/programCache.ts';
import type { VisionArchitecture } from '../models/architecture.ts';
import { FrozenPrograms } from '../models/frozenPrograms.ts';
import type { Precision } from '../models/stagePrecision.ts';
import { denseStages, imageStages } from '../models/visionStages.ts';
import { PositionInterpolations, VisionTower } from '../models/visionTower.ts';
import { Student } from './student.ts';

/**
 * The number of crops changes from step to step, and a compiled program holds on to the memory of its size. A tower
 * takes four programs, and one more brings its embeddings to the loss: those of the latest two numbers stay.
 */
const cropProgramCapacity = 10;

export interface TowerSettings {
  /** What both towers compute in. */
  precision: Precision;
  /** Bytes of student activations kept for the backward pass. */
  activationBudget: number;
}

/** The frozen teacher and the student, which starts as its copy; with their parameters and programs on one engine. */
export class Towers {
  /** Embeds crops and whole images. */
  readonly teacher: VisionTower;
  /** Dense features, with a backward pass. */
  readonly student: Student;
  /** The student's embeddings of whole images, with a backward pass. */
  readonly wholeImages: Student;
  /** Those of the student and of the optimiser. */
  readonly programs: ProgramCache;
  /** Those of crops, whose number changes from step to step. */
  readonly cropPrograms: ProgramCache;
  /** By checkpoint name, replaced as the student learns; frozen ones are the teacher's tensors. */
  readonly studentParameters: Map<string, DeviceTensor>;
  /** Names of the parameters that the student trains. */
  readonly trainable: ReadonlySet<string>;
  readonly #engine: Engine;
  readonly #architecture: VisionArchitecture;
  readonly #interpolations: PositionInterpolations;
  readonly #precision: Precision;
  /** Without what frozen programs have for good and the student does not share. */
  readonly #teacher: Map<string, DeviceTensor>;
  readonly #frozen: FrozenPrograms | null;

  /**
   * @param teacher parameters by checkpoint name; the towers dispose of them.
   * @param trainable names of those the student trains; it starts from copies.
   */
  static async create(
    engine: Engine,
    architecture: VisionArchitecture,
    teacher: ReadonlyMap<string, DeviceTensor>,
    trainable: readonly string[],
    settings: TowerSettings,
  ): Promise<Towers> {
    const student = new Map(teacher);
    for (const name of trainable) {
      const tensor = teacher.get(name)!;
      student.set(name, engine.upload(tensor.shape, await engine.read(tensor)));
    }
    return new Towers(engine, architecture, teacher, student, new Set(trainable), settings);
  }

  private constructor(
    engine: Engine,
    architecture: VisionArchitecture,
    teacher: ReadonlyMap<string, DeviceTensor>,
    student: Map<string, DeviceTensor>,
    trainable: ReadonlySet<string>,
    { precision, activationBudget }: TowerSettings,
  ) {
    this.#engine = engine;
    this.#architecture = architecture;
    this.#precision = precision;
    this.#teacher = new Map(teacher);
    this.studentParameters = student;
    this.trainable = trainable;
    this.programs = new ProgramCache(engine);
    this.cropPrograms = new ProgramCache(engine, cropProgramCapacity);
    this.#interpolations = new PositionInterpolations(engine, architecture);
    // What the student trains changes; the teacher's blocks have their weights for good. All crops are of one grid.
    const release = (names: readonly string[]): void => this.#release(names);
    this.#frozen = precision === 'fp32' ? new FrozenPrograms(engine, this.#teacher, release) : null;
    this.teacher = this.#tower(this.#teacher, this.cropPrograms, this.#frozen);
    const studentOf = (stages: typeof denseStages | typeof imageStages): Student =>
      new Student(
        architecture,
        student,
        trainable,
        this.programs,
        this.#interpolations,
        activationBudget,
        stages,
        precision,
      );
    this.student = studentOf(denseStages);
    this.wholeImages = studentOf(imageStages);
  }

  /** The student's tower with parameters of its own, without a backward pass. */
  with(parameters: ReadonlyMap<string, DeviceTensor>): VisionTower {
    return this.#tower(parameters, this.programs);
  }

  #tower(
    parameters: ReadonlyMap<string, DeviceTensor>,
    programs: ProgramCache,
    frozen: FrozenPrograms | null = null,
  ): VisionTower {
    return new VisionTower(
      this.#architecture,
      parameters,
      programs,
      this.#interpolations,
      this.#precision,
      frozen,
    );
  }

  /** Gives up the teacher's own tensors of these names. */
  #release(names: readonly string[]): void {
    for (const name of names.filter(each => this.trainable.has(each))) {
      this.#teacher.get(name)?.dispose();
      this.#teacher.delete(name);
    }
  }

  /** Replaces one of the parameters that the student trains. */
  restore(name: string, data: Float32Array): void {
    const current = this.studentParameters.get(name);
    if (!current || !this.trainable.has(name)) throw new Error(`'${name}' does not train`);
    this.studentParameters.set(name, this.#engine.upload(current.shape, data));
    current.dispose();
  }

  async dispose(): Promise<void> {
    for (const name of this.trainable) this.studentParameters.get(name)!.dispose();
    disposeAll(this.#teacher.values());
    this.#interpolations.dispose();
    await this.#frozen?.dispose();
    await this.cropPrograms.dispose();
    await this.programs.dispose();
  }
}
