import type { Engine, Program } from '../engines/engine.ts';
import { rowsCanOpen } from '../graph/openRows.ts';
import { type Parameters, parameterFeeds } from './stageFeeds.ts';
import type { ImageBatch, VisionStage } from './visionStage.ts';

/**
 * Programs of a tower whose weights never change, one for each block, with its weights laid out for the processor. They
 * are for the patch grid that comes first, and take any number of images. Engines that gain nothing by them have none.
 */
export class FrozenPrograms {
  readonly #engine: Engine;
  readonly #parameters: Parameters;
  readonly #onFrozen: (names: readonly string[]) => void;
  readonly #programs = new Map<string, Program>();
  #grid: string | null = null;

  /**
   * @param parameters of the tower; they stay with the caller.
   * @param onFrozen told the checkpoint names of what images of this grid no longer need, however many they are.
   */
  constructor(
    engine: Engine,
    parameters: Parameters,
    onFrozen: (names: readonly string[]) => void = () => undefined,
  ) {
    this.#engine = engine;
    this.#parameters = parameters;
    this.#onFrozen = onFrozen;
  }

  /** Null where the stage has no such program, or none for these images. */
  async programOf(stage: VisionStage, { batch, rows, columns }: ImageBatch): Promise<Program | null> {
    const grid = `${rows}x${columns}`;
    this.#grid ??= grid;
    const one = stage.frozen?.();
    if (!one || grid !== this.#grid || !this.#engine.compileFrozen) return null;
    const anyNumber = rowsCanOpen(one.output, 'input');
    if (!anyNumber && batch > 1) return null;
    const names = Object.values(one.parameters);
    const key = `${one.key} ${names[0]}`;
    const known = this.#programs.get(key);
    if (known) return known;
    const constants = parameterFeeds(one, this.#parameters);
    const openInput = anyNumber ? 'input' : null;
    const program = await this.#engine.compileFrozen({ output: one.output }, constants, openInput);
    this.#programs.set(key, program);
    // Of one image alone: others still need the weights.
    if (anyNumber) this.#onFrozen(names);
    return program;
  }

  async dispose(): Promise<void> {
    for (const program of this.#programs.values()) await program.dispose();
    this.#programs.clear();
  }
}
