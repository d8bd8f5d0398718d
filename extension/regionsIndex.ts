import { type FileHandle, open, stat } from 'node:fs/promises';
import { FileError, naming } from '../trainer/checkpoints/fileError.ts';
import { isJsonObject } from '../trainer/checkpoints/jsonFile.ts';
import {
  type EvaluatedRegion,
  type RegionRanking,
  type RegionReading,
  regionReadings,
} from '../trainer/evaluate/protocol.ts';
import type { RegionSelection } from '../webview/evaluation/protocol.ts';
import { NumberColumn } from './numberColumn.ts';

const newline = 0x0a;
const PIECE_BYTES = 1 << 20;
/** Longer lines are not ours. */
const MAXIMUM_LINE_BYTES = 1 << 16;
/** Regions beyond these are not indexed: 40 bytes of memory each, up to twice that while a column has room to grow. */
const MAXIMUM_REGIONS = 8_000_000;
/** Stands for a rank or a class that is missing. */
const MISSING = 0xffff_ffff;

export interface IndexOptions {
  signal?: AbortSignal;
  /** 0 … 1. */
  progress?: (fraction: number) => void;
}

/**
 * Where the regions of a regions file lie, and what is needed to select among them: the true class, and for each reading
 * the named class and the rank. The lines themselves stay on the disk.
 */
export class RegionsIndex {
  readonly file: string;
  readonly #offsets = new NumberColumn(Float64Array);
  readonly #lengths = new NumberColumn(Uint32Array);
  readonly #truths = new NumberColumn(Uint32Array);
  readonly #named = new Map(regionReadings.map(reading => [reading, new NumberColumn(Uint32Array)]));
  readonly #ranks = new Map(regionReadings.map(reading => [reading, new NumberColumn(Uint32Array)]));

  private constructor(file: string) {
    this.file = file;
  }

  /**
   * Reads the file once. Lines that are no region, such as one that a killed evaluator tore, are passed over.
   *
   * @throws FileError when it cannot be read; the signal's reason when it is aborted.
   */
  static async build(file: string, { signal, progress }: IndexOptions = {}): Promise<RegionsIndex> {
    const index = new RegionsIndex(file);
    await naming(file, 'read', async () => {
      if (!(await stat(file)).isFile()) throw new FileError(file, 'it is not a plain file', 'Check the path');
      const handle = await open(file, 'r');
      try {
        await index.#scan(handle, signal, progress);
      } finally {
        await handle.close();
      }
    });
    return index;
  }

  get size(): number {
    return this.#truths.length;
  }

  /** Places of the regions that fit, in the order of the file. */
  find({ reading, truth, named, outcome }: RegionSelection): number[] {
    const names = this.#named.get(reading)!;
    const ranks = this.#ranks.get(reading)!;
    const places: number[] = [];
    for (let place = 0; place < this.size; place++) {
      const rank = ranks.at(place);
      if (rank === MISSING) continue;
      if (truth !== null && this.#truths.at(place) !== truth) continue;
      if (named !== null && names.at(place) !== named) continue;
      if (fits(outcome, rank)) places.push(place);
    }
    return places;
  }

  /**
   * Reads regions back.
   *
   * @throws FileError when the file changed since it was indexed.
   */
  async read(places: readonly number[]): Promise<EvaluatedRegion[]> {
    return naming(this.file, 'read', async () => {
      const handle = await open(this.file, 'r');
      try {
        const regions: EvaluatedRegion[] = [];
        for (const place of places) regions.push(await this.#readOne(handle, place));
        return regions;
      } finally {
        await handle.close();
      }
    });
  }

  async #readOne(handle: FileHandle, place: number): Promise<EvaluatedRegion> {
    const buffer = Buffer.alloc(this.#lengths.at(place));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, this.#offsets.at(place));
    const region = bytesRead < buffer.length ? null : parseRegionLine(buffer.toString('utf8'));
    if (region === null || region.class !== this.#truths.at(place)) {
      throw new FileError(this.file, 'it changed while it was read', 'Close the regions and open them again');
    }
    return region;
  }

  async #scan(
    handle: FileHandle,
    signal?: AbortSignal,
    progress?: (fraction: number) => void,
  ): Promise<void> {
    const total = Math.max((await handle.stat()).size, 1);
    const piece = Buffer.alloc(PIECE_BYTES);
    let rest = Buffer.alloc(0);
    let position = 0;
    let skipping = false;
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await handle.read(piece, 0, piece.length, position);
      if (bytesRead === 0) break;
      const bytes = Buffer.concat([rest, piece.subarray(0, bytesRead)]);
      const start = position - rest.length;
      let from = 0;
      for (let to = bytes.indexOf(newline); to !== -1; to = bytes.indexOf(newline, from)) {
        if (!skipping) this.#add(bytes.subarray(from, to), start + from);
        skipping = false;
        from = to + 1;
      }
      rest = Buffer.from(bytes.subarray(from));
      position += bytesRead;
      if (rest.length > MAXIMUM_LINE_BYTES) {
        rest = Buffer.alloc(0);
        skipping = true;
      }
      progress?.(Math.min(position / total, 1));
      if (this.size >= MAXIMUM_REGIONS) return;
    }
    // The last line may lack its end: the evaluator may be about to write it, or never came to.
    if (!skipping && rest.length > 0) this.#add(rest, position - rest.length);
  }

  #add(line: Buffer, offset: number): void {
    if (line.length > MAXIMUM_LINE_BYTES || this.size >= MAXIMUM_REGIONS) return;
    const region = parseRegionLine(line.toString('utf8'));
    if (region === null) return;
    this.#offsets.push(offset);
    this.#lengths.push(line.length);
    this.#truths.push(region.class);
    for (const reading of regionReadings) {
      const ranking = region.readings[reading];
      this.#named.get(reading)!.push(ranking?.top[0] ?? MISSING);
      this.#ranks.get(reading)!.push(ranking?.rank ?? MISSING);
    }
  }
}

function fits(outcome: RegionSelection['outcome'], rank: number): boolean {
  switch (outcome) {
    case 'all':
      return true;
    case 'right':
      return rank === 1;
    case 'close':
      return rank > 1 && rank <= 5;
    case 'wrong':
      return rank > 1;
  }
}

const isPlace = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < MISSING;
const isFiniteNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value);

function isRanking(value: unknown): value is RegionRanking {
  if (!isJsonObject(value)) return false;
  const { top, cosines, trueCosine, rank } = value;
  return (
    Array.isArray(top) &&
    Array.isArray(cosines) &&
    top.length <= 5 &&
    top.length === cosines.length &&
    top.every(isPlace) &&
    cosines.every(isFiniteNumber) &&
    isFiniteNumber(trueCosine) &&
    isPlace(rank) &&
    rank > 0
  );
}

/** One line of a regions file; null when it is none. */
export function parseRegionLine(line: string): EvaluatedRegion | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (!isJsonObject(value) || !isJsonObject(value.readings)) return null;
  const { image, segment, class: truth, box, area, readings } = value;
  if (typeof image !== 'string' || !isFiniteNumber(segment) || !isPlace(truth) || !isFiniteNumber(area))
    return null;
  if (!Array.isArray(box) || box.length !== 4 || !box.every(isFiniteNumber)) return null;
  const [x0, y0, x1, y1] = box as [number, number, number, number];
  const checked: Partial<Record<RegionReading, RegionRanking>> = {};
  for (const reading of regionReadings) {
    const ranking = readings[reading];
    if (ranking === undefined) continue;
    if (!isRanking(ranking)) return null;
    checked[reading] = ranking;
  }
  return { image, segment, class: truth, box: [x0, y0, x1, y1], area, readings: checked };
}
