/**
 * What a command that writes annotations has done so far, so that one that was interrupted goes on: an append-only file
 * beside the output with a line for each image that is complete.
 */

import { type FileHandle, open, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { makeDirectories, writeFully } from '../checkpoints/atomicFile.ts';
import { FileError, naming } from '../checkpoints/fileError.ts';
import { isJsonObject } from '../checkpoints/jsonFile.ts';
import { sizeOf, wholeLines } from '../checkpoints/wholeLines.ts';
import type { WrittenImage, WrittenRegion } from './cocoWriter.ts';

/** Everything that the regions of an image depend on, by name. */
export type AnnotationSettings = Readonly<Record<string, string | number | null>>;

export const partialFileOf = (out: string): string => `${path.resolve(out)}.partial`;

export class PartialAnnotations {
  readonly #file: string;
  readonly #handle: FileHandle;
  readonly #done: Set<string>;

  private constructor(file: string, handle: FileHandle, done: Set<string>) {
    this.#file = file;
    this.#handle = handle;
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
    return naming(file, 'write', async () => {
      await makeDirectories(path.dirname(file));
      const past = await readPast(file, settings);
      if (past !== null) await truncate(file, past.bytes);
      const handle = await open(file, past === null ? 'w' : 'a');
      if (past === null) await writeFully(handle, line({ schema: 1, settings }));
      return new PartialAnnotations(file, handle, new Set(past?.names));
    });
  }

  /** Adds an image that is complete. */
  async add(image: WrittenImage): Promise<void> {
    await naming(this.#file, 'write', () => writeFully(this.#handle, line(image)));
    this.#done.add(image.file);
  }

  /** The images that are complete, in the order in which they came. */
  async *images(): AsyncGenerator<WrittenImage> {
    for await (const { text } of wholeLines(this.#file)) {
      const image = parseImage(text);
      if (image !== null) yield image;
    }
  }

  /** Lets go of the file; the same command goes on from it. */
  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** The annotations are written: the file is not needed any more. Close it first. */
  async remove(): Promise<void> {
    await rm(this.#file, { force: true });
  }
}

const line = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value)}\n`);

/** What an interrupted command left; null when there is nothing. */
async function readPast(
  file: string,
  settings: AnnotationSettings,
): Promise<{ names: string[]; bytes: number } | null> {
  if (!(await sizeOf(file))) return null;
  const names: string[] = [];
  let bytes = 0;
  for await (const { text, end } of wholeLines(file)) {
    if (bytes === 0) requireSame(file, parsed(text), settings);
    else {
      const image = parseImage(text);
      if (image === null) break;
      names.push(image.file);
    }
    bytes = end;
  }
  // A first line that was torn says nothing.
  return bytes === 0 ? null : { names, bytes };
}

function requireSame(file: string, header: unknown, settings: AnnotationSettings): void {
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
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const isNumber = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value);

function isRegion(value: unknown): value is WrittenRegion {
  if (!isJsonObject(value)) return false;
  const { box, category, score } = value;
  const isBox = Array.isArray(box) && box.length === 4 && box.every(isNumber);
  return isBox && isNumber(category) && (score === undefined || isNumber(score));
}

function parseImage(text: string): WrittenImage | null {
  const value = parsed(text);
  if (!isJsonObject(value)) return null;
  const { file, width, height, regions } = value;
  const isImage = typeof file === 'string' && isNumber(width) && isNumber(height);
  if (!isImage || !Array.isArray(regions) || !regions.every(isRegion)) return null;
  return value as unknown as WrittenImage;
}
