import type { Words } from '../../trainer/dense/words.ts';
import { type ProgressListener, problemOf } from './host.ts';
import { sourceKey } from './protocol/models.ts';
import type { InspectorProblem } from './protocol/requests.ts';
import type { WordsSettings } from './protocol/state.ts';
import type { ReadyColumn, ViewContext } from './views/view.ts';

/** Readers whose words are kept: a run's steps are one each. */
const KEPT_READERS = 64;

/** The words of one model, one by one: a word more asks for that word alone. */
interface Reader {
  dimension: number;
  vectors: Map<string, Float32Array>;
  problem: InspectorProblem | null;
  /** The last list that was put together, and how many words were known then. */
  last: { list: readonly string[]; known: number; words: Words } | null;
}

/** The list of words, shared by the views that name things, as directions in the embedding space of each model. */
export class WordStore {
  readonly #context: ViewContext;
  readonly #readers = new Map<string, Reader>();

  constructor(context: ViewContext) {
    this.#context = context;
  }

  get settings(): WordsSettings {
    return this.#context.state.words;
  }

  /** Remembers a change; asks for the words again where it makes others of them. */
  change(change: Partial<WordsSettings>): void {
    const before = this.settings;
    const words = { ...before, ...change };
    if (words.shown !== null && !words.list.includes(words.shown)) words.shown = null;
    this.#context.remember({ words });
    const isOther =
      words.list.join('\n') !== before.list.join('\n') ||
      words.prompts !== before.prompts ||
      words.embeddings !== before.embeddings;
    if (isOther) this.#context.reload();
  }

  /** Fetches what is missing for the columns. What a model cannot give becomes its problem; throws when cancelled. */
  async load(
    columns: readonly ReadyColumn[],
    signal: AbortSignal,
    progress: ProgressListener,
  ): Promise<void> {
    for (const column of columns) {
      const { list, prompts, embeddings } = this.settings;
      const reader = this.#readerOf(column);
      // The rows of a file belong to the whole list.
      const isKnown = (word: string): boolean => reader.vectors.has(word);
      const words = embeddings === null || list.every(isKnown) ? list.filter(word => !isKnown(word)) : list;
      if (words.length === 0) continue;
      const query = { source: column.query.source, words, prompts, embeddings };
      try {
        const { dimension, data } = await this.#context.host.request('words', query, { signal, progress });
        const rows = new Float32Array(data);
        reader.dimension = dimension;
        reader.problem = null;
        words.forEach((word, row) => {
          reader.vectors.set(word, rows.subarray(row * dimension, (row + 1) * dimension));
        });
      } catch (error) {
        const problem = problemOf(error);
        if (problem.kind === 'cancelled') throw error;
        reader.problem = problem;
      }
      this.#context.redraw();
    }
  }

  /** The words that are known for a column, in the order of the list; null when there is none. */
  of(column: ReadyColumn): Words | null {
    const reader = this.#readerOf(column);
    const { list } = this.settings;
    const names = list.filter(word => reader.vectors.has(word));
    if (names.length === 0 || reader.dimension !== column.map.dimension) return null;
    if (reader.last?.list === list && reader.last.known === names.length) return reader.last.words;
    const data = new Float32Array(names.length * reader.dimension);
    names.forEach((word, row) => {
      data.set(reader.vectors.get(word)!, row * reader.dimension);
    });
    const words = { names, dimension: reader.dimension, data };
    reader.last = { list, known: names.length, words };
    return words;
  }

  /** Why words of the list are not there; null where they are, or on their way. */
  problemOf(column: ReadyColumn): InspectorProblem | null {
    const { problem, vectors, dimension } = this.#readerOf(column);
    if (this.settings.list.every(word => vectors.has(word)) && dimension !== column.map.dimension)
      return {
        kind: 'noText',
        message: `The words have ${dimension} channels and these features ${column.map.dimension}. Use class embeddings from a .npy file.`,
      };
    return problem;
  }

  #readerOf({ query }: ReadyColumn): Reader {
    const { prompts, embeddings, list } = this.settings;
    const words = embeddings === null ? [prompts] : [embeddings, ...list];
    const key = JSON.stringify([sourceKey(query.source), ...words]);
    let reader = this.#readers.get(key);
    if (reader === undefined) {
      if (this.#readers.size >= KEPT_READERS) this.#readers.clear();
      reader = { dimension: 0, vectors: new Map(), problem: null, last: null };
      this.#readers.set(key, reader);
    }
    return reader;
  }
}
