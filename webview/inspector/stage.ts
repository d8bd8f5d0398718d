import { element } from '../dom.ts';
import type { Palette } from '../theme.ts';
import { Backdrop } from './backdrop.ts';
import { StagePointer } from './stagePointer.ts';
import {
  imagePoint,
  limitViewport,
  type Placement,
  panBy,
  placeImage,
  type Size,
  type Viewport,
  wholeImage,
  ZOOM_STEP,
  zoomAt,
} from './viewport.ts';

export interface Point {
  x: number;
  y: number;
}

/** x0, y0, x1, y1 in image pixels. */
export type Box = readonly [number, number, number, number];

/** What is drawn over the image, and where: it may reach past the image, which then cuts it off. */
export interface Overlay {
  source: CanvasImageSource;
  /** Size of the area it covers, in image pixels, from the image's top left corner. */
  covered: Size;
}

/** What a stage shows. */
export interface Scene {
  image: CanvasImageSource | null;
  /** Tells this image from others that the same source shows. */
  imageName: string;
  /** Image pixels. */
  size: Size;
  overlay: Overlay | null;
  /** 0 … 1. */
  opacity: number;
  /** Cells with sharp edges rather than blended into each other. */
  pixelated: boolean;
  /** Lines and numbers, in CSS pixels of the canvas. */
  drawMarks: ((context: CanvasRenderingContext2D, placement: Placement) => void) | null;
}

export interface StageEvents {
  onViewport: (viewport: Viewport) => void;
  /** The pointer is over an image point, or has left the image (null). */
  onHover: (point: Point | null) => void;
  onPick: (point: Point) => void;
  /** A box was drawn with the shift key held; both sides are above zero. */
  onBox: (box: Box) => void;
  /** A key that the stage does not use itself; true when it was used. */
  onKey: (event: KeyboardEvent) => boolean;
}

/** CSS pixels that one press of Alt and an arrow key pans. */
const PAN_STEP = 48;

const panDirections: Record<string, readonly [number, number]> = {
  ArrowLeft: [1, 0],
  ArrowRight: [-1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
};

/** A canvas with the image, what lies over it, and pan and zoom by pointer, wheel and keys. */
export class Stage {
  readonly root: HTMLElement;
  readonly canvas = element('canvas', {
    class: 'stage-canvas',
    attributes: { tabindex: '0', role: 'application', 'aria-roledescription': 'image with patches' },
  });
  readonly #events: StageEvents;
  readonly #pointer: StagePointer;
  readonly #observer: ResizeObserver;
  readonly #backdrop = new Backdrop();
  #palette: Palette;
  #scene: Scene | null = null;
  #viewport = wholeImage;
  #size: Size = { width: 0, height: 0 };
  #scheduled = false;

  constructor(palette: Palette, events: StageEvents) {
    this.#palette = palette;
    this.#events = events;
    this.root = element('div', { class: 'stage' }, this.canvas);
    this.#pointer = new StagePointer(this.canvas, {
      pan: (dx, dy) => this.#change(panBy(this.#viewport, dx, dy, this.#imageSize, this.#size)),
      zoom: (factor, at) => this.#zoom(factor, at),
      reset: () => this.#change(wholeImage),
      hover: at => events.onHover(at === null ? null : this.#insidePoint(at)),
      pick: at => {
        const point = this.#insidePoint(at);
        if (point !== null) events.onPick(point);
      },
      dragBox: () => this.schedule(),
      box: (from, to) => this.#finishBox(from, to),
      isZoomed: () => this.#viewport.zoom > 1,
    });
    this.canvas.addEventListener('keydown', event => this.#handleKey(event));
    this.#observer = new ResizeObserver(([entry]) => {
      if (entry === undefined) return;
      const { width, height } = entry.contentRect;
      this.#size = { width, height };
      this.schedule();
    });
    this.#observer.observe(this.root);
  }

  /** Draws at once: called where a frame is being made. */
  show(scene: Scene | null): void {
    this.#scene = scene;
    this.#draw();
  }

  /** Follows another column's view; does not call `onViewport`. */
  follow(viewport: Viewport): void {
    this.#viewport = viewport;
    this.schedule();
  }

  setPalette(palette: Palette): void {
    this.#palette = palette;
    this.schedule();
  }

  /** Draws before the next frame. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      if (this.#scheduled) this.#draw();
    });
  }

  dispose(): void {
    this.#observer.disconnect();
    this.root.remove();
  }

  get #imageSize(): Size {
    return this.#scene?.size ?? { width: 1, height: 1 };
  }

  #placement(): Placement {
    return placeImage(this.#viewport, this.#imageSize, this.#size);
  }

  #insidePoint(at: Point): Point | null {
    if (this.#scene === null) return null;
    const point = imagePoint(this.#placement(), at.x, at.y);
    const { width, height } = this.#imageSize;
    return point.x >= 0 && point.y >= 0 && point.x < width && point.y < height ? point : null;
  }

  #finishBox(from: Point, to: Point): void {
    this.schedule();
    const placement = this.#placement();
    const a = imagePoint(placement, from.x, from.y);
    const b = imagePoint(placement, to.x, to.y);
    const { width, height } = this.#imageSize;
    const clamp = (value: number, limit: number): number => Math.min(Math.max(value, 0), limit);
    const box: Box = [
      clamp(Math.min(a.x, b.x), width),
      clamp(Math.min(a.y, b.y), height),
      clamp(Math.max(a.x, b.x), width),
      clamp(Math.max(a.y, b.y), height),
    ];
    if (box[2] - box[0] >= 1 && box[3] - box[1] >= 1) this.#events.onBox(box);
  }

  #zoom(factor: number, at: Point | null): void {
    const middle = { x: this.#size.width / 2, y: this.#size.height / 2 };
    this.#change(zoomAt(this.#viewport, factor, at ?? middle, this.#imageSize, this.#size));
  }

  #change(viewport: Viewport): void {
    this.#viewport = viewport;
    this.schedule();
    this.#events.onViewport(viewport);
  }

  #handleKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey) return;
    const direction = panDirections[event.key];
    if (event.key === '+' || event.key === '=') this.#zoom(ZOOM_STEP, null);
    else if (event.key === '-' || event.key === '_') this.#zoom(1 / ZOOM_STEP, null);
    else if (event.key === '0') this.#change(wholeImage);
    else if (event.altKey && direction)
      this.#change(
        panBy(this.#viewport, direction[0] * PAN_STEP, direction[1] * PAN_STEP, this.#imageSize, this.#size),
      );
    else if (!this.#events.onKey(event)) return;
    event.preventDefault();
  }

  #draw(): void {
    this.#scheduled = false;
    const { width: shownWidth, height: shownHeight } = this.#size;
    if (shownWidth === 0 || shownHeight === 0) return;
    const density = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(shownWidth * density), Math.round(shownHeight * density)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.canvas.style.width = `${shownWidth}px`;
      this.canvas.style.height = `${shownHeight}px`;
    }
    const context = this.canvas.getContext('2d');
    if (context === null) return;
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, shownWidth, shownHeight);
    const scene = this.#scene;
    if (scene === null) return;
    const viewport = limitViewport(this.#viewport, scene.size, this.#size);
    const placement = placeImage(viewport, scene.size, this.#size);
    this.#drawImage(context, scene, placement, density);
    scene.drawMarks?.(context, placement);
    this.#drawDraggedBox(context);
  }

  #drawImage(context: CanvasRenderingContext2D, scene: Scene, placement: Placement, density: number): void {
    const { left, top, scale } = placement;
    if (scene.image !== null) {
      const { image, imageName, size } = scene;
      const picture = this.#backdrop.of(image, imageName, placement, size, this.canvas, density);
      context.drawImage(picture, 0, 0, this.canvas.width / density, this.canvas.height / density);
    }
    if (scene.overlay === null) return;
    const width = scene.size.width * scale;
    const height = scene.size.height * scale;
    context.save();
    context.beginPath();
    context.rect(left, top, width, height);
    context.clip();
    const { source, covered } = scene.overlay;
    context.globalAlpha = scene.opacity;
    context.imageSmoothingEnabled = !scene.pixelated;
    context.imageSmoothingQuality = 'low';
    context.drawImage(source, left, top, covered.width * scale, covered.height * scale);
    context.restore();
  }

  #drawDraggedBox(context: CanvasRenderingContext2D): void {
    const drag = this.#pointer.draggedBox;
    if (drag === null) return;
    const { from, to } = drag;
    context.setLineDash([]);
    for (const [colour, width] of [
      [this.#palette.background, 4],
      [this.#palette.focus, 2],
    ] as const) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.strokeRect(from.x, from.y, to.x - from.x, to.y - from.y);
    }
  }
}
