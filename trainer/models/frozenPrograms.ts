import type { Engine, Program } from '../engines/engine.ts';
import { rowsCanOpen } from '../graph/openRows.ts';
import { type Parameters, parameterFeeds } from './stageFeeds.ts';
import type { ImageBatch, VisionStage } from './visionStage.ts';

/** Patch grids whose programs are kept: of each, the engine holds the weights once more. */
const gridCapacity = 2;

/** The programs of one patch grid, a program for each block. */
class GridPrograms {
  readonly #engine: Engine;
  readonly #parameters: Parameters;
  readonly #programs = new Map<string, Promise<Program>>();
  passes = 0;

  constructor(engine: Engine, parameters: Parameters) {
    this.#engine = engine;
    this.#parameters = parameters;
  }

  /** Null where the stage has no such program, or none for so many images. */
  async programOf(stage: VisionStage, images: number): Promise<Program | null> {
    const one = stage.frozen?.();
    if (!one || !this.#engine.compileFrozen) return null;
    const anyNumber = rowsCanOpen(one.output, 'input');
    if (!anyNumber && images > 1) return null;
    const key = `${one.key} ${Object.values(one.parameters)[0]}`;
    let program = this.#programs.get(key);
    if (!program) {
      const constants = parameterFeeds(one, this.#parameters);
      program = this.#engine.compileFrozen({ output: one.output }, constants, anyNumber ? 'input' : null);
      this.#programs.set(key, program);
    }
    return program;
  }

  async dispose(): Promise<void> {
    for (const program of this.#programs.values()) await (await program).dispose();
    this.#programs.clear();
  }
}

/**
 * Programs of a tower whose weights never change, with the weights laid out for the processor. A block's takes any
 * number of images. Engines that gain nothing by them have none.
 */
export class FrozenPrograms {
  readonly #engine: Engine;
  readonly #parameters: Parameters;
  readonly #patience: number;
  /** In order of last use. */
  readonly #grids = new Map<string, GridPrograms>();

  /**
   * @param parameters of the tower; they stay with the caller.
   * @param patience passes over images of a patch grid that go by before its programs are made.
   */
  constructor(engine: Engine, parameters: Parameters, patience: number) {
    this.#engine = engine;
    this.#parameters = parameters;
    this.#patience = patience;
  }

  /** Programs for a pass over images; null while their patch grid is new. */
  async forPass({ rows, columns }: ImageBatch): Promise<GridPrograms | null> {
    const key = `${rows}x${columns}`;
    const grid = this.#grids.get(key) ?? new GridPrograms(this.#engine, this.#parameters);
    this.#grids.delete(key);
    this.#grids.set(key, grid);
    for (const [other, programs] of this.#grids) {
      if (this.#grids.size <= gridCapacity) break;
      this.#grids.delete(other);
      await programs.dispose();
    }
    return grid.passes++ < this.#patience ? null : grid;
  }

  async dispose(): Promise<void> {
    for (const grid of this.#grids.values()) await grid.dispose();
    this.#grids.clear();
  }
}
