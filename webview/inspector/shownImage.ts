import { element } from '../dom.ts';
import type { ImageMessage } from './protocol/messages.ts';
import type { Size } from './viewport.ts';

/** Bytes of the image in view as something that can be drawn. */
export class ShownImage {
  /** In the document so that its style sheet keeps the pixels as they lie on the disk, which is how models see them. */
  readonly root = element('img', { class: 'source-image', attributes: { alt: '', 'aria-hidden': 'true' } });
  readonly #onChange: () => void;
  #loaded = false;
  /** Why there is no picture; null while there is none to complain about. */
  problem: string | null = null;
  /** The file does not exist any more. */
  gone = false;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get source(): HTMLImageElement | null {
    return this.#loaded ? this.root : null;
  }

  /** Image pixels; null until the image is decoded. */
  get size(): Size | null {
    return this.#loaded ? { width: this.root.naturalWidth, height: this.root.naturalHeight } : null;
  }

  /** Nothing to show until the next message. */
  clear(): void {
    this.#loaded = false;
    this.problem = null;
    this.gone = false;
  }

  show({ bytes, type, problem, gone }: ImageMessage): void {
    this.problem = problem;
    this.gone = gone;
    if (bytes === null) {
      if (!gone) this.#loaded = false;
      this.#onChange();
      return;
    }
    const address = URL.createObjectURL(new Blob([bytes], { type: type ?? '' }));
    this.root.onload = () => {
      URL.revokeObjectURL(address);
      this.#loaded = true;
      this.#onChange();
    };
    this.root.onerror = () => {
      URL.revokeObjectURL(address);
      this.#loaded = false;
      this.problem = 'This image cannot be drawn here.';
      this.#onChange();
    };
    this.root.src = address;
  }
}
