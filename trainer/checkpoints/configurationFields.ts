import { FileError } from './fileError.ts';
import { isJsonObject } from './jsonFile.ts';

export type Triple = readonly [number, number, number];

export const configurationAdvice =
  'Correct the file or use the open_clip_config.json published with the weights';

/** Reads named fields of one JSON object; errors name the file and the field. */
export class Fields {
  readonly #file: string;
  readonly #prefix: string;
  readonly #values: Record<string, unknown>;

  constructor(file: string, prefix: string, values: Record<string, unknown>) {
    this.#file = file;
    this.#prefix = prefix;
    this.#values = values;
  }

  get names(): string[] {
    return Object.keys(this.#values);
  }

  value(name: string): unknown {
    return Object.hasOwn(this.#values, name) ? this.#values[name] : undefined;
  }

  fail(name: string, reason: string): never {
    throw new FileError(this.#file, `${this.#prefix}${name} ${reason}`, configurationAdvice);
  }

  object(name: string): Fields {
    const value = this.value(name);
    if (!isJsonObject(value))
      return this.fail(name, value === undefined ? 'is missing' : 'must be an object');
    return new Fields(this.#file, `${this.#prefix}${name}.`, value);
  }

  number(name: string, most: number, standard?: number): number {
    const value = this.value(name) ?? standard;
    if (value === undefined) return this.fail(name, 'is missing');
    if (typeof value !== 'number' || !(value > 0 && value <= most)) {
      return this.fail(name, `must be a number above 0 and at most ${most}, not ${shown(value)}`);
    }
    return value;
  }

  integer(name: string, most: number, standard?: number): number {
    const value = this.number(name, most, standard);
    if (!Number.isInteger(value)) this.fail(name, `must be a whole number, not ${value}`);
    return value;
  }

  triple(name: string, least: number): Triple {
    const value = this.value(name);
    const valid =
      Array.isArray(value) &&
      value.length === 3 &&
      value.every(item => typeof item === 'number' && item >= least && item <= 255);
    if (!valid) return this.fail(name, `must be three numbers, not ${shown(value)}`);
    return [value[0] as number, value[1] as number, value[2] as number];
  }
}

export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
