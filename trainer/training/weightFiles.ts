import type { Distiller } from '../distill/distiller.ts';
import { leads } from '../distributed/world.ts';
import type { Checkpoint, CheckpointStore } from '../runs/checkpointStore.ts';
import { requireHeld } from '../runs/lease.ts';
import { writeStudentFile } from './studentFile.ts';
import type { TrainingContext } from './trainingContext.ts';
import { readTrainingState, writeTrainingState } from './trainingState.ts';

/** The weights of a run on disk: checkpoints, and the student that users take away. Each step is written once. */
export class WeightFiles {
  readonly #context: TrainingContext;
  readonly #checkpoints: CheckpointStore;
  readonly #distiller: Distiller;
  #savedStep = -1;
  #studentStep = -1;

  constructor(context: TrainingContext, checkpoints: CheckpointStore, distiller: Distiller) {
    this.#context = context;
    this.#checkpoints = checkpoints;
    this.#distiller = distiller;
  }

  /** Goes on from a checkpoint. */
  async restore(checkpoint: Checkpoint): Promise<void> {
    await readTrainingState(checkpoint, this.#distiller, this.#context.plan.trainable);
    this.#savedStep = checkpoint.step;
  }

  /**
   * Saves a checkpoint, on the rank that holds the run.
   *
   * @throws Error when another trainer may have taken the run.
   */
  async save(step: number, options?: { prune: boolean }): Promise<void> {
    const { engine, plan, lease, files } = this.#context;
    if (!lease || this.#savedStep === step) return;
    await requireHeld(lease, files);
    const write = (directory: string) =>
      writeTrainingState(directory, engine, this.#distiller, plan.trainable);
    await this.#checkpoints.save(step, write, options);
    this.#savedStep = step;
  }

  /** Writes the α-blend, on the rank that leads. */
  async writeStudent(step: number): Promise<void> {
    const { world, engine, plan, files, configuration } = this.#context;
    if (!leads(world) || this.#studentStep === step) return;
    const { blend } = configuration.settings;
    await writeStudentFile(files.student, plan.model, engine, this.#distiller, plan.trainable, blend);
    this.#studentStep = step;
  }
}
