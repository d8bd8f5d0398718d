import type { Engine, Program } from '../engines/engine.ts';
import { rowsCanOpen } from '../graph/openRows.ts';
import { type Parameters, parameterFeeds } from './stageFeeds.ts';
import type { ImageBatch, VisionStage } from './visionStage.ts';

/** The programs of one patch grid, a program for each block. */
class GridPrograms {
  readonly #engine: Engine;
  readonly #parameters: Parameters;
  readonly #onFrozen: (names: readonly string[]) => void;
  readonly #programs = new Map<string, Program>();

  constructor(engine: Engine, parameters: Parameters, onFrozen: (names: readonly string[]) => void) {
    this.#engine = engine;
    this.#parameters = parameters;
    this.#onFrozen = onFrozen;
  }

  /** Null where the stage has no such program, or none for so many images. */
  async programOf(stage: VisionStage, images: number): Promise<Program | null> {
    const one = stage.frozen?.();
    if (!one || !this.#engine.compileFrozen) return null;
    const anyNumber = rowsCanOpen(one.output, 'input');
    if (!anyNumber && images > 1) return null;
    const names = Object.values(one.parameters);
    const key = `${one.key} ${names[0]}`;
    const known = this.#programs.get(key);
    if (known) return known;
    const constants = parameterFeeds(one, this.#parameters);
    const openInput = anyNumber ? 'input' : null;
    const program = await this.#engine.compileFrozen({ output: one.output }, constants, openInput);
    this.#programs.set(key, program);
    this.#onFrozen(names);
    return program;
  }

  async dispose(): Promise<void> {
    for (const program of this.#programs.values()) await program.dispose();
    this.#programs.clear();
  }
}

export interface FrozenSettings {
  /** Patch grids whose programs are kept: of each, the engine holds the weights once more. One by default. */
  grids?: number;
  /** Told the checkpoint names of what a program has from now on. */
  onFrozen?: (names: readonly string[]) => void;
}

/**
 * Programs of a tower whose weights never change, with the weights laid out for the processor. A block's takes any
 * number of images. Engines that gain nothing by them have none.
 */
export class FrozenPrograms {
  readonly #engine: Engine;
  readonly #parameters: Parameters;
  readonly #settings: Required<FrozenSettings>;
  /** In order of last use. */
  readonly #grids = new Map<string, GridPrograms>();

  /** @param parameters of the tower; they stay with the caller. */
  constructor(engine: Engine, parameters: Parameters, settings: FrozenSettings = {}) {
    this.#engine = engine;
    this.#parameters = parameters;
    this.#settings = { grids: 1, onFrozen: () => undefined, ...settings };
  }

  /** Programs for a pass over images. */
  async forPass({ rows, columns }: ImageBatch): Promise<GridPrograms> {
    const key = `${rows}x${columns}`;
    const grid =
      this.#grids.get(key) ?? new GridPrograms(this.#engine, this.#parameters, this.#settings.onFrozen);
    this.#grids.delete(key);
    this.#grids.set(key, grid);
    for (const [other, programs] of this.#grids) {
      if (this.#grids.size <= this.#settings.grids) break;
      this.#grids.delete(other);
      await programs.dispose();
    }
    return grid;
  }

  async dispose(): Promise<void> {
    for (const grid of this.#grids.values()) await grid.dispose();
    this.#grids.clear();
  }
}
