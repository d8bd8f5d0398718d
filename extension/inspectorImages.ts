import { stat } from 'node:fs/promises';
import path from 'node:path';
import { maximumPixels } from '../trainer/images/raster.ts';
import type { ImageMessage } from '../webview/inspector/protocol/messages.ts';
import type { Disposable } from './emitter.ts';
import { fileSignature } from './fileSignature.ts';
import { FolderWatch } from './folderWatch.ts';
import { imageTypes, MAXIMUM_IMAGE_BYTES, readBytes } from './imageBytes.ts';
import { SerialTask } from './serialTask.ts';

/** Milliseconds between two looks at an image where no file event comes first. */
const POLL_INTERVAL = 2000;

/** What the panel is sent of an image file. */
export type ImageContent = Pick<ImageMessage, 'type' | 'bytes' | 'problem' | 'gone'>;

const nothing = (problem: string, gone = false): ImageContent => ({ type: null, bytes: null, problem, gone });

/** An image file as a browser can draw it, or one sentence why not. Never throws. */
export async function readImageContent(file: string): Promise<ImageContent> {
  const name = path.basename(file);
  const extension = path.extname(file).toLowerCase();
  const isTiff = extension === '.tif' || extension === '.tiff';
  const type = isTiff ? 'image/png' : imageTypes[extension];
  if (type === undefined) return nothing(`Images of type ${extension} cannot be shown here.`);
  try {
    const status = await stat(file);
    if (!status.isFile()) return nothing(`${name} is not an image file.`);
    if (status.size === 0) return nothing(`${name} is empty.`);
    if (status.size > MAXIMUM_IMAGE_BYTES) {
      return nothing(
        `${name} is larger than ${MAXIMUM_IMAGE_BYTES / 1024 ** 2} MiB and cannot be shown here.`,
      );
    }
    const bytes = isTiff ? await pngOf(file) : await readBytes(file, status.size);
    return { type, bytes, problem: null, gone: false };
  } catch (error) {
    if (isMissing(error)) return nothing(`${file} is gone. The view comes back when the file does.`, true);
    return nothing(`${name} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** First page of a TIFF, which browsers do not draw. Loaded when needed: few images are TIFFs. */
async function pngOf(file: string): Promise<ArrayBuffer> {
  const { default: sharp } = await import('sharp');
  const image = sharp(file, { limitInputPixels: maximumPixels, ignoreIcc: true });
  return new Uint8Array(await image.toColourspace('srgb').png().toBuffer()).buffer;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}

/** Tells when a file's content changes, it goes or it comes. */
export class ImageWatch implements Disposable {
  readonly #file: string;
  readonly #changed: () => void;
  readonly #watch: FolderWatch;
  readonly #look = new SerialTask(() => this.#lookOnce());
  #signature: string | null = null;
  #disposed = false;

  constructor(file: string, changed: () => void) {
    this.#file = file;
    this.#changed = changed;
    this.#watch = new FolderWatch(path.dirname(file), POLL_INTERVAL, () => void this.#look.run());
    void this.#look.run();
  }

  async #lookOnce(): Promise<void> {
    const signature = await fileSignature(this.#file);
    const before = this.#signature;
    this.#signature = signature;
    if (!this.#disposed && before !== null && before !== signature) this.#changed();
  }

  dispose(): void {
    this.#disposed = true;
    this.#watch.dispose();
  }
}
