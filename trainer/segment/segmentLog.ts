/**
 * What a segmentation has done so far, so that one that was cut goes on: an append-only file beside the report with a
 * line for each image that is complete.
 */
import path from 'node:path';
import { isJsonObject } from '../checkpoints/jsonFile.ts';
import { LineLog, readLineLog } from '../checkpoints/lineLog.ts';
import { type SegmentOverlay, type SegmentSide, segmentSides } from './protocol.ts';

/** What one model found in one image. */
export interface SideEntry {
  /** Pairs of place in the confusion matrix and pixels. */
  confusions: number[];
  /** Scores of the regions, [regions, words], pooled by box and by mask. */
  boxes: Float32Array;
  masks: Float32Array;
}

/** An image that is complete. */
export interface SegmentedImage {
  /** Class of each region. */
  regions: number[];
  pixels: number;
  ignored: number;
  overlay: SegmentOverlay | null;
  sides: Partial<Record<SegmentSide, SideEntry>>;
}

/** Why an image was left out, or what it has. */
export type SegmentEntry = { skipped: string } | SegmentedImage;

const progressFileOf = (report: string): string =>
  `${path.resolve(report).replace(/\.json$/i, '')}.progress.jsonl`;

export class SegmentLog {
  readonly #log: LineLog;
  /** Entries that were complete when the log was opened, one an image, in order. */
  readonly past: readonly SegmentEntry[];
  readonly #states: readonly string[];
  #next: number;

  private constructor(log: LineLog, past: SegmentEntry[], states: readonly string[]) {
    this.#log = log;
    this.past = past;
    this.#states = states;
    this.#next = past.length;
  }

  /**
   * Opens the log of a segmentation: what is there counts when it was begun with the same key.
   *
   * @param key Stands for everything the results of all images depend on.
   * @param states For each image, what its own results depend on: it and those after it are done again when that changed.
   * @throws FileError when the file cannot be written.
   */
  static async open(report: string, key: string, states: readonly string[]): Promise<SegmentLog> {
    const file = progressFileOf(report);
    const past = await readLineLog(file, {
      begins: header => isJsonObject(header) && header.schema === 1 && header.key === key,
      entryOf: (value, index) =>
        isJsonObject(value) && value.state === states[index] ? unpacked(value) : null,
    });
    const log = await LineLog.open(file, { schema: 1, key }, past);
    return new SegmentLog(log, past?.entries ?? [], states);
  }

  /** Adds the next image. */
  async add(entry: SegmentEntry): Promise<void> {
    await this.#log.add({ state: this.#states[this.#next++], ...packed(entry) });
  }

  /** Lets go of the file; the next segmentation with the same key goes on from it. */
  close(): Promise<void> {
    return this.#log.close();
  }

  /** The report is written: the file is not needed any more. Close it first. */
  remove(): Promise<void> {
    return this.#log.remove();
  }
}

/** Scores go as base64: as text they would take three times as much. */
function packed(entry: SegmentEntry): object {
  if ('skipped' in entry) return entry;
  const sides = Object.entries(entry.sides).map(([side, { confusions, boxes, masks }]) => [
    side,
    { confusions, boxes: toBase64(boxes), masks: toBase64(masks) },
  ]);
  return { ...entry, sides: Object.fromEntries(sides) };
}

function unpacked(value: Record<string, unknown>): SegmentEntry | null {
  if (typeof value.skipped === 'string') return { skipped: value.skipped };
  const { regions, pixels, ignored, overlay, sides } = value;
  if (!isCounts(regions) || !isCounts([pixels, ignored]) || !isJsonObject(sides)) return null;
  const found: SegmentedImage['sides'] = {};
  for (const side of segmentSides) {
    const entry = sides[side];
    if (entry === undefined) continue;
    if (!isJsonObject(entry) || !isCounts(entry.confusions)) return null;
    const [boxes, masks] = [fromBase64(entry.boxes), fromBase64(entry.masks)];
    if (boxes === null || masks === null) return null;
    found[side] = { confusions: entry.confusions, boxes, masks };
  }
  const counts = { regions, pixels: pixels as number, ignored: ignored as number };
  return { ...counts, overlay: (overlay ?? null) as SegmentOverlay | null, sides: found };
}

const isCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every(count => Number.isSafeInteger(count) && count >= 0);

const toBase64 = ({ buffer, byteOffset, byteLength }: Float32Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString('base64');

function fromBase64(text: unknown): Float32Array | null {
  if (typeof text !== 'string') return null;
  const bytes = new Uint8Array(Buffer.from(text, 'base64'));
  return bytes.byteLength % 4 === 0 ? new Float32Array(bytes.buffer) : null;
}
