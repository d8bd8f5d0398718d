/** Fields that COCO's data sets share, checked: annotation files come from strangers. */
import { FileError } from '../checkpoints/fileError.ts';
import { isJsonObject } from '../checkpoints/jsonFile.ts';
import { classesOfCategories } from '../text/classList.ts';
import type { ListReceiver, ReadLists } from './jsonLists.ts';
import type { EvaluatedClass } from './protocol.ts';
import type { Breakage, CornerAndSize } from './regionData.ts';

export interface CocoImage {
  id: number;
  file: string;
  stated: { width: number; height: number } | null;
}

const isSide = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;

/** Images by id, in the order of the file. */
export class CocoImages {
  readonly byId = new Map<number, CocoImage>();
  readonly #file: string;
  readonly #breakage: Breakage;

  constructor(file: string, breakage: Breakage) {
    this.#file = file;
    this.#breakage = breakage;
  }

  readonly receive: ListReceiver = (item, index) => {
    const { id, file_name: file, width, height } = isJsonObject(item) ? item : {};
    if (!Number.isSafeInteger(id) || typeof file !== 'string' || file === '' || file.includes('\0')) {
      this.#breakage.report('image entry broken', `images[${index}] has no id and file_name`);
      return;
    }
    if (this.byId.has(id as number)) {
      this.#breakage.report('image id twice', `the image id ${id} occurs twice`);
      return;
    }
    const stated = isSide(width) && isSide(height) ? { width, height } : null;
    this.byId.set(id as number, { id: id as number, file, stated });
  };

  /** @throws FileError when there is none. */
  require(): void {
    if (this.byId.size > 0) return;
    throw new FileError(this.#file, 'it has no list “images”', 'Choose COCO-style annotations');
  }
}

/** Categories in any order; `finish` sorts them. */
export class CocoCategories {
  readonly #file: string;
  readonly #entries: unknown[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  readonly receive: ListReceiver = item => {
    this.#entries.push(item);
  };

  /** @throws FileError when there is none, or one is damaged. */
  finish(): { classes: EvaluatedClass[]; positions: ReadonlyMap<number, number> } {
    if (this.#entries.length === 0)
      throw new FileError(this.#file, 'it has no list “categories”', 'Choose COCO-style annotations');
    const classes = classesOfCategories(this.#entries, this.#file);
    return { classes, positions: new Map(classes.map(({ id }, position) => [id, position])) };
  }
}

/** COCO's [x, y, width, height]; null when it is none. */
export function boxOf(value: unknown): CornerAndSize | null {
  if (!Array.isArray(value) || value.length !== 4 || !value.every(Number.isFinite)) return null;
  const box = value as unknown as CornerAndSize;
  return box[2] >= 0 && box[3] >= 0 ? box : null;
}

/** Says that a file is no whole JSON. */
export function reportDamage({ damage }: Pick<ReadLists, 'damage'>, breakage: Breakage): void {
  if (damage !== null) breakage.report('annotations cut off', `it is not valid JSON: ${damage}`);
}
