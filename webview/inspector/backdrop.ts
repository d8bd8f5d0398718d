import type { Placement, Size } from './viewport.ts';

/**
 * The image as the stage shows it, scaled once: a large photograph takes tens of milliseconds to scale well, and most
 * frames change what lies over it alone.
 */
export class Backdrop {
  readonly #canvas = document.createElement('canvas');
  #key = '';

  /**
   * The picture at the size of the stage's canvas.
   *
   * @param imageName Tells one image from another; the same element may show several after each other.
   * @param canvas Size of the stage's canvas in device pixels.
   * @param density Device pixels for each CSS pixel, in which `placement` counts.
   */
  of(
    image: CanvasImageSource,
    imageName: string,
    { left, top, scale }: Placement,
    size: Size,
    canvas: Size,
    density: number,
  ): HTMLCanvasElement {
    const key = [imageName, left, top, scale, size.width, size.height, canvas.width, canvas.height].join();
    if (key === this.#key) return this.#canvas;
    this.#key = key;
    // Setting the size clears the canvas.
    this.#canvas.width = canvas.width;
    this.#canvas.height = canvas.height;
    const context = this.#canvas.getContext('2d');
    if (context === null) return this.#canvas;
    context.setTransform(density, 0, 0, density, 0, 0);
    // Beyond three screen pixels for each image pixel, the pixels are what one wants to see.
    context.imageSmoothingEnabled = scale < 3;
    context.imageSmoothingQuality = 'high';
    context.drawImage(image, left, top, size.width * scale, size.height * scale);
    return this.#canvas;
  }
}
