import { readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { cacheFolder } from '../cacheFolder.ts';
import { makeDirectories, writeText } from '../checkpoints/atomicFile.ts';

/** What an engine took for the calibrated step, or why it could not. */
export type Measurement = { seconds: number } | { failure: string };

/** Measurements of one model on one machine, by engine. */
export interface RememberedChoice {
  /** ISO time of the measurement. */
  measured: string;
  engines: Readonly<Record<string, Measurement>>;
}

/** Models that are remembered; those measured last stay. */
const capacity = 64;

/** What identifies a machine as far as speed goes. */
export const machineKey = (): string =>
  `${os.cpus()[0]?.model ?? 'unknown processor'}, ${os.availableParallelism()} cores, ${process.platform}-${process.arch}`;

/** Choices by key in a file that may be lost. A file that does not read as such is as good as none. */
export class ChoiceMemory {
  readonly #file: string;

  constructor(folder: string = cacheFolder('engines')) {
    this.#file = path.join(folder, 'choices.json');
  }

  async recall(key: string): Promise<RememberedChoice | null> {
    return (await this.#read()).get(key) ?? null;
  }

  /** Two processes that remember at once may lose one of the two, which is then measured again. */
  async remember(key: string, choice: RememberedChoice): Promise<void> {
    const choices = await this.#read();
    choices.delete(key);
    choices.set(key, choice);
    const kept = [...choices].slice(-capacity);
    await makeDirectories(path.dirname(this.#file));
    await writeText(this.#file, `${JSON.stringify(Object.fromEntries(kept), null, 2)}\n`);
  }

  /** All choices by key. */
  all(): Promise<ReadonlyMap<string, RememberedChoice>> {
    return this.#read();
  }

  async forget(): Promise<void> {
    await rm(this.#file, { force: true });
  }

  async #read(): Promise<Map<string, RememberedChoice>> {
    try {
      const parsed: unknown = JSON.parse(await readFile(this.#file, 'utf8'));
      if (typeof parsed !== 'object' || parsed === null) return new Map();
      return new Map(Object.entries(parsed).filter(isEntry));
    } catch {
      return new Map();
    }
  }
}

function isEntry(entry: [string, unknown]): entry is [string, RememberedChoice] {
  const choice = entry[1];
  if (typeof choice !== 'object' || choice === null) return false;
  const { measured, engines } = choice as Partial<RememberedChoice>;
  return (
    typeof measured === 'string' &&
    typeof engines === 'object' &&
    engines !== null &&
    Object.values(engines).every(isMeasurement)
  );
}

const isMeasurement = (value: unknown): value is Measurement =>
  typeof value === 'object' &&
  value !== null &&
  (typeof (value as { seconds?: unknown }).seconds === 'number' ||
    typeof (value as { failure?: unknown }).failure === 'string');
