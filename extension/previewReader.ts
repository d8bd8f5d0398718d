import { stat } from 'node:fs/promises';
import path from 'node:path';
import { isJsonObject, readJson } from '../trainer/checkpoints/jsonFile.ts';
import type { PatchPreview } from '../trainer/protocol.ts';
import type { PreviewWithImage } from '../webview/training/protocol.ts';
import { imageTypes, MAXIMUM_IMAGE_BYTES, readBytes } from './imageBytes.ts';

const numberFields = ['step', 'time', 'width', 'height', 'rows', 'columns'] as const;

function isBox(value: unknown): value is [number, number, number, number] {
  return Array.isArray(value) && value.length === 4 && value.every(edge => Number.isFinite(edge));
}

function isPlace(value: unknown): value is NonNullable<PatchPreview['member']> {
  if (!isJsonObject(value) || typeof value.shard !== 'string') return false;
  const isCount = (number: unknown) => Number.isSafeInteger(number) && (number as number) >= 0;
  return path.isAbsolute(value.shard) && isCount(value.offset) && isCount(value.size);
}

/** Checks the content of `preview.json`, which may come from anywhere; null when it is none. */
export function parsePreview(value: unknown): PatchPreview | null {
  if (!isJsonObject(value) || typeof value.image !== 'string' || !path.isAbsolute(value.image)) return null;
  if (!numberFields.every(field => Number.isFinite(value[field]))) return null;
  const { boxes, cosines, member } = value;
  if (member !== undefined && !isPlace(member)) return null;
  if (!Array.isArray(boxes) || !Array.isArray(cosines) || boxes.length !== cosines.length) return null;
  if (boxes.length > 10_000 || !boxes.every(isBox)) return null;
  if (!cosines.every(cosine => cosine === null || typeof cosine === 'number')) return null;
  return value as unknown as PatchPreview;
}

/** Follows `preview.json` of a run and the image it lies on; an image is read again only when it is another. */
export class PreviewReader {
  readonly #file: string;
  readonly #mayRead: (imageFile: string) => boolean;
  #seen = '';
  #preview: PatchPreview | null = null;
  #sentImage = '';

  /** @param mayRead Whether an image file that the run names may be read: run directories come from strangers. */
  constructor(file: string, mayRead: (imageFile: string) => boolean) {
    this.#file = file;
    this.#mayRead = mayRead;
  }

  /** The preview when it changed since the last call, or in any case and with its image when `everything`. */
  async read(everything: boolean): Promise<PreviewWithImage | null> {
    const changed = await this.#readFile();
    if (this.#preview === null || (!changed && !everything)) return null;
    if (everything) this.#sentImage = '';
    return { preview: this.#preview, ...(await this.#readImage(this.#preview)) };
  }

  async #readFile(): Promise<boolean> {
    try {
      const status = await stat(this.#file);
      const signature = `${status.ino}:${status.size}@${status.mtimeMs}`;
      if (signature === this.#seen) return false;
      const preview = parsePreview(await readJson(this.#file));
      this.#seen = signature;
      this.#preview = preview ?? this.#preview;
      return preview !== null;
    } catch {
      // Not written yet, or being replaced: the next look will see it.
      return false;
    }
  }

  async #readImage({ image, member }: PatchPreview): Promise<Omit<PreviewWithImage, 'preview'>> {
    const file = member?.shard ?? image;
    const imageType = imageTypes[path.extname(image).toLowerCase()];
    if (imageType === undefined) {
      return { imageProblem: `Images of type ${path.extname(image)} cannot be shown here.` };
    }
    if (!this.#mayRead(file)) {
      return { imageProblem: 'The image lies outside this workspace, which is in Restricted Mode.' };
    }
    try {
      const status = await stat(file);
      const signature = `${image}:${status.size}@${status.mtimeMs}`;
      if (signature === this.#sentImage) return {};
      if (!status.isFile()) return { imageProblem: `${file} is not an image file.` };
      const { offset, size } = member ?? { offset: 0, size: status.size };
      if (size > MAXIMUM_IMAGE_BYTES) {
        return { imageProblem: `The image is larger than ${MAXIMUM_IMAGE_BYTES / 1024 ** 2} MiB.` };
      }
      const imageBytes = await readBytes(file, size, offset);
      this.#sentImage = signature;
      return { imageType, imageBytes };
    } catch {
      return { imageProblem: `The image ${file} cannot be read; it may have been moved.` };
    }
  }
}
