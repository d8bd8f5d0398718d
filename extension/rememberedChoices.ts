/** The part of VS Code's `Memento` that is used: values that outlive the window. */
export interface Memory {
  get(key: string): unknown;
  update(key: string, value: unknown): PromiseLike<void>;
}

/** A list of texts, the latest first, without duplicates and bounded. What was stored is checked when read. */
export class RememberedChoices {
  readonly #memory: Memory;
  readonly #key: string;
  readonly #limit: number;

  constructor(memory: Memory, key: string, limit: number) {
    this.#memory = memory;
    this.#key = key;
    this.#limit = limit;
  }

  /** The latest choice first. */
  list(): string[] {
    const stored = this.#memory.get(this.#key);
    if (!Array.isArray(stored)) return [];
    return stored.filter((entry): entry is string => typeof entry === 'string').slice(0, this.#limit);
  }

  async add(choice: string): Promise<void> {
    const others = this.list().filter(entry => entry !== choice);
    await this.#memory.update(this.#key, [choice, ...others].slice(0, this.#limit));
  }

  async remove(choice: string): Promise<void> {
    await this.#memory.update(
      this.#key,
      this.list().filter(entry => entry !== choice),
    );
  }
}

/** Puts the remembered entries first, the latest before all; entries that are no longer there are left out. */
export function rememberedFirst<T>(items: T[], remembered: string[], keyOf: (item: T) => string): T[] {
  const rank = (item: T) => {
    const index = remembered.indexOf(keyOf(item));
    return index < 0 ? remembered.length : index;
  };
  return items
    .map((item, position) => ({ item, position, rank: rank(item) }))
    .sort((a, b) => a.rank - b.rank || a.position - b.position)
    .map(entry => entry.item);
}
