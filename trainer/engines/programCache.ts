import type { Outputs } from '../graph/split.ts';
import type { Engine, Program } from './engine.ts';

/**
 * Compiled programs by key, the least recently used discarded beyond `capacity`. Ask again before every run: a
 * program that was discarded in between is compiled anew.
 */
export class ProgramCache {
  readonly #engine: Engine;
  readonly #capacity: number;
  /** In order of last use; a Map keeps insertion order. */
  readonly #programs = new Map<string, Promise<Program>>();

  constructor(engine: Engine, capacity = 64) {
    this.#engine = engine;
    this.#capacity = capacity;
  }

  async get(key: string, build: () => Outputs): Promise<Program> {
    const known = this.#programs.get(key);
    if (known) {
      this.#programs.delete(key);
      this.#programs.set(key, known);
      return known;
    }
    const compiled = this.#engine.compile(build());
    this.#programs.set(key, compiled);
    // A failure is forgotten, so that the next request tries again.
    compiled.catch(() => {
      if (this.#programs.get(key) === compiled) this.#programs.delete(key);
    });
    await this.#discardOldest();
    return compiled;
  }

  async #discardOldest(): Promise<void> {
    for (const [key, program] of this.#programs) {
      if (this.#programs.size <= this.#capacity) return;
      this.#programs.delete(key);
      await discard(program);
    }
  }

  async dispose(): Promise<void> {
    const programs = [...this.#programs.values()];
    this.#programs.clear();
    for (const program of programs) await discard(program);
  }
}

/** Whoever asked for a program that did not compile has its error; nobody else is told. */
async function discard(program: Promise<Program>): Promise<void> {
  const compiled = await program.catch(() => null);
  await compiled?.dispose();
}
