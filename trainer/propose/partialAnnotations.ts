/**
 * What a command that writes annotations has done so far, so that one that was interrupted goes on: an append-only file
 * beside the output with a line for each image that is complete.
 */

import path from 'node:path';
import { FileError } from '../checkpoints/fileError.ts';
import { isJsonObject } from '../checkpoints/jsonFile.ts';
import { LineLog, parsedJson, readLineLog } from '../checkpoints/lineLog.ts';
import { wholeLines } from '../checkpoints/wholeLines.ts';
import type { WrittenImage, WrittenRegion } from './cocoWriter.ts';

/** Everything that the regions of an image depend on, by name. */
export type AnnotationSettings = Readonly<Record<string, string | number | null>>;

export const partialFileOf = (out: string): string => `${path.resolve(out)}.partial`;

export class PartialAnnotations {
  readonly #file: string;
  readonly #log: LineLog;
  readonly #done: Set<string>;

  private constructor(file: string, log: LineLog, done: Set<string>) {
    this.#file = file;
    this.#log = log;
    this.#done = done;
  }

  /** Names of the images that are complete. */
  get done(): ReadonlySet<string> {
    return this.#done;
  }

  /**
   * Opens what is there, or begins anew.
   *
   * @param out The annotations that are being made.
   * @throws FileError when the file was begun with other settings, or cannot be written.
   */
  static async open(out: string, settings: AnnotationSettings): Promise<PartialAnnotations> {
    const file = partialFileOf(out);
    const past = await readLineLog(file, {
      begins: header => requireSame(file, header, settings),
      entryOf: value => imageOf(value)?.file ?? null,
    });
    const log = await LineLog.open(file, { schema: 1, settings }, past);
    return new PartialAnnotations(file, log, new Set(past?.entries));
  }

  /** Adds an image that is complete. */
  async add(image: WrittenImage): Promise<void> {
    await this.#log.add(image);
    this.#done.add(image.file);
  }

  /** The images that are complete, in the order in which they came. */
  async *images(): AsyncGenerator<WrittenImage> {
    for await (const { text } of wholeLines(this.#file)) {
      const image = imageOf(parsedJson(text));
      if (image !== null) yield image;
    }
  }

  /** Lets go of the file; the same command goes on from it. */
  close(): Promise<void> {
    return this.#log.close();
  }

  /** The annotations are written: the file is not needed any more. Close it first. */
  remove(): Promise<void> {
    return this.#log.remove();
  }
}

function requireSame(file: string, header: unknown, settings: AnnotationSettings): true {
  const advice = 'Use the same settings to go on, choose another --out, or delete this file to begin anew';
  const begun = isJsonObject(header) && header.schema === 1 ? header.settings : null;
  if (!isJsonObject(begun)) throw new FileError(file, 'it was not begun by this command', advice);
  const names = [...new Set([...Object.keys(begun), ...Object.keys(settings)])];
  const differences = names
    .filter(name => (begun[name] ?? null) !== (settings[name] ?? null))
    .map(
      name =>
        `${name} is ${JSON.stringify(begun[name] ?? null)} there and ${JSON.stringify(settings[name] ?? null)} now`,
    );
  if (differences.length > 0)
    throw new FileError(file, `it was begun with other settings: ${differences.join('; ')}`, advice);
  return true;
}

const isNumber = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value);

function isRegion(value: unknown): value is WrittenRegion {
  if (!isJsonObject(value)) return false;
  const { box, category, score } = value;
  const isBox = Array.isArray(box) && box.length === 4 && box.every(isNumber);
  return isBox && isNumber(category) && (score === undefined || isNumber(score));
}

function imageOf(value: unknown): WrittenImage | null {
  if (!isJsonObject(value)) return null;
  const { file, width, height, regions } = value;
  const isImage = typeof file === 'string' && isNumber(width) && isNumber(height);
  if (!isImage || !Array.isArray(regions) || !regions.every(isRegion)) return null;
  return value as unknown as WrittenImage;
}
