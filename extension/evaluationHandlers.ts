import { stat } from 'node:fs/promises';
import path from 'node:path';
import { type EvaluatedRegion, type EvaluationReport, regionsFileOf } from '../trainer/evaluate/protocol.ts';
import type {
  EvaluationMethod,
  RegionPicture,
  RegionQuery,
  RegionsQuery,
  RegionsResult,
  ReportReference,
  RequestMessage,
  RequestProblem,
  ResultOf,
  SaveQuery,
  ShownRegion,
  Side,
} from '../webview/evaluation/protocol.ts';
import type { RequestWork } from './panelDocument.ts';
import { drawPicture, drawThumbnail, RegionImageError, regionImage } from './regionPictures.ts';
import { RegionsIndex } from './regionsIndex.ts';
import { readSegmentPicture, type ShownSegmentation } from './segmentPictures.ts';

export interface SideReport {
  path: string;
  report: EvaluationReport;
}

/** A region to be marked in an image. */
export interface MarkedRegion {
  image: string;
  box: [number, number, number, number];
  label: string;
  report: EvaluationReport;
}

/** What panels ask of VS Code. */
export interface EvaluationDialogues {
  browseReport(): Promise<ReportReference | null>;
  browseImages(): Promise<string | null>;
  browseSegmentation(): Promise<string | null>;
  save(file: SaveQuery, report: string | null): Promise<string | null>;
  copy(text: string): Promise<void>;
  openText(file: string): Promise<void>;
  openImage(file: string): Promise<void>;
  /** Shows the region in the inspector; false where no model can draw it. */
  inspect(region: MarkedRegion): Promise<boolean>;
}

export interface HandlerSurroundings {
  side(side: Side): SideReport | null;
  /** Where the images are now, if not where the report says. */
  imageFolder(): string | null;
  /** The segmentation in view. */
  segmentation(): ShownSegmentation | null;
  mayReadImage(file: string): boolean;
  dialogues: EvaluationDialogues;
}

/** A request that cannot be answered, with its kind. */
export class EvaluationRequestError extends Error {
  readonly kind: RequestProblem['kind'];

  constructor(kind: RequestProblem['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Regions sent with one answer at most. */
const MOST_REGIONS = 200;
/** Images decoded at the same time. */
const MOST_DRAWINGS = 4;

interface IndexedRegions {
  signature: string;
  index: Promise<RegionsIndex>;
}

/** Answers the requests of one panel. */
export class EvaluationHandlers {
  readonly #surroundings: HandlerSurroundings;
  readonly #indices = new Map<Side, IndexedRegions>();
  readonly #waiting: (() => void)[] = [];
  readonly #end = new AbortController();
  #drawing = 0;

  constructor(surroundings: HandlerSurroundings) {
    this.#surroundings = surroundings;
  }

  dispose(): void {
    this.#end.abort();
  }

  reportChanged(side: Side): void {
    this.#indices.delete(side);
  }

  async answer(message: RequestMessage, options: RequestWork): Promise<ResultOf<EvaluationMethod>> {
    const { dialogues } = this.#surroundings;
    switch (message.method) {
      case 'regions':
        return this.#regions(message.query, options);
      case 'thumbnail':
        return this.#draw(message.query, options, drawThumbnail);
      case 'picture':
        return this.#draw(message.query, options, drawPicture);
      case 'openRegion':
        return this.#openRegion(message.query, options);
      case 'openImage': {
        const { file } = await this.#imageOf(message.query, options);
        await dialogues.openImage(file);
        return null;
      }
      case 'openReport':
        await dialogues.openText(this.#side(message.query.side).path);
        return null;
      case 'browseReport':
        return dialogues.browseReport();
      case 'browseImages':
        return dialogues.browseImages();
      case 'browseSegmentation':
        return dialogues.browseSegmentation();
      case 'segmentPicture':
        return readSegmentPicture(this.#surroundings.segmentation(), message.query);
      case 'save':
        return dialogues.save(message.query, this.#surroundings.side('after')?.path ?? null);
      case 'copy':
        await dialogues.copy(message.query.text);
        return null;
    }
  }

  async #regions(query: RegionsQuery, options: RequestWork): Promise<RegionsResult> {
    const index = await this.#index(query.side, options);
    const places = index.find(query);
    const count = Math.min(Math.max(query.count, 0), MOST_REGIONS);
    const page = places.slice(query.offset, query.offset + count);
    const regions = await index.read(page);
    const others = await this.#others(query.side, page, options);
    return {
      total: places.length,
      regions: regions.map((region, at): ShownRegion => {
        const other = others[at];
        const isSame = other?.image === region.image && other.segment === region.segment;
        return { ...region, place: page[at]!, other: isSame ? other.readings : null };
      }),
    };
  }

  /** The same places in the other side's file: evaluations of the same data write their regions in the same order. */
  async #others(
    side: Side,
    places: readonly number[],
    options: RequestWork,
  ): Promise<(EvaluatedRegion | null)[]> {
    const other: Side = side === 'before' ? 'after' : 'before';
    const [own, others] = [this.#surroundings.side(side), this.#surroundings.side(other)];
    if (own === null || others === null || own.path === others.path) return [];
    // Names are compared by their place: that says something for the same classes only.
    if (own.report.data.sha256 !== others.report.data.sha256) return [];
    try {
      const index = await this.#index(other, options);
      const inside = places.filter(place => place < index.size);
      const regions = await index.read(inside);
      return places.map(place => (place < index.size ? regions[inside.indexOf(place)]! : null));
    } catch {
      // The other side's regions are an extra: without them the panel shows those it was asked for.
      return [];
    }
  }

  async #index(side: Side, { progress }: RequestWork): Promise<RegionsIndex> {
    const file = regionsFileOf(this.#side(side).path);
    const status = await stat(file).catch(() => null);
    if (status === null) {
      throw new EvaluationRequestError('regions', `${file} is not there: single regions cannot be shown.`);
    }
    const signature = `${file}:${status.size}@${status.mtimeMs}`;
    const known = this.#indices.get(side);
    if (known?.signature === signature) return known.index;
    // Not given up with the request that asked first: others wait for it, or will ask for the same.
    const index = RegionsIndex.build(file, {
      signal: this.#end.signal,
      progress: fraction => progress('Reading the regions', fraction),
    });
    this.#indices.set(side, { signature, index });
    // A failure is not kept: the next request tries again.
    index.catch(() => {
      if (this.#indices.get(side)?.index === index) this.#indices.delete(side);
    });
    return index;
  }

  async #imageOf(
    { side, place }: RegionQuery,
    options: RequestWork,
  ): Promise<{ file: string; region: EvaluatedRegion }> {
    const index = await this.#index(side, options);
    if (!(Number.isInteger(place) && place >= 0 && place < index.size)) {
      throw new EvaluationRequestError('regions', 'The regions changed; open them again.');
    }
    const [region] = await index.read([place]);
    const { path: report, report: content } = this.#side(side);
    const folder =
      this.#surroundings.imageFolder() ?? path.resolve(path.dirname(report), content.data.images);
    const file = await regionImage(folder, region!.image);
    if (!this.#surroundings.mayReadImage(file)) {
      const message = 'The image lies outside this workspace, which is in Restricted Mode.';
      throw new EvaluationRequestError('trust', message);
    }
    return { file, region: region! };
  }

  async #draw(
    query: RegionQuery,
    options: RequestWork,
    draw: (file: string, box: EvaluatedRegion['box']) => Promise<RegionPicture>,
  ): Promise<RegionPicture> {
    const { file, region } = await this.#imageOf(query, options);
    await this.#turn();
    try {
      options.signal.throwIfAborted();
      return await draw(file, region.box);
    } finally {
      this.#drawing--;
      this.#waiting.shift()?.();
    }
  }

  /** Waits until another image may be decoded. */
  async #turn(): Promise<void> {
    if (this.#drawing >= MOST_DRAWINGS) await new Promise<void>(resolve => this.#waiting.push(resolve));
    this.#drawing++;
  }

  async #openRegion(query: RegionQuery, options: RequestWork): Promise<'inspector' | 'picture'> {
    const { file, region } = await this.#imageOf(query, options);
    const { report } = this.#side(query.side);
    const label = report.classes[region.class]?.name ?? '';
    const shown = await this.#surroundings.dialogues.inspect({ image: file, box: region.box, label, report });
    return shown ? 'inspector' : 'picture';
  }

  #side(side: Side): SideReport {
    const report = this.#surroundings.side(side);
    if (report === null) throw new EvaluationRequestError('other', 'There is no report on this side.');
    return report;
  }
}

/** The problem that an error names. */
export function requestProblem(error: unknown): RequestProblem {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof EvaluationRequestError) return { kind: error.kind, message };
  if (error instanceof RegionImageError) return { kind: 'images', message };
  if (error instanceof Error && error.name === 'AbortError')
    return { kind: 'cancelled', message: 'Cancelled.' };
  return { kind: 'other', message };
}
