/** Turns pointer and wheel events of a canvas into gestures: pan, zoom, hover, click, and a box drawn with shift. */

interface CanvasPoint {
  x: number;
  y: number;
}

export interface PointerGestures {
  /** CSS pixels since the last call. */
  pan: (dx: number, dy: number) => void;
  zoom: (factor: number, at: CanvasPoint) => void;
  reset: () => void;
  hover: (at: CanvasPoint | null) => void;
  pick: (at: CanvasPoint) => void;
  /** A box is being drawn: its corners are in `draggedBox`. */
  dragBox: () => void;
  box: (from: CanvasPoint, to: CanvasPoint) => void;
  isZoomed: () => boolean;
}

/** A press that moves less than this many CSS pixels is a click. */
const CLICK_TOLERANCE = 4;

/** Zoom factor of one wheel pixel: a notch of 100 pixels zooms by about 1.2. */
const WHEEL_SPEED = 0.0018;

/** What a double click zooms in by when the whole image is shown. */
const DOUBLE_CLICK_ZOOM = 3;

export class StagePointer {
  readonly #gestures: PointerGestures;
  #pressed: { at: CanvasPoint; last: CanvasPoint; box: boolean; moved: boolean } | null = null;

  constructor(canvas: HTMLCanvasElement, gestures: PointerGestures) {
    this.#gestures = gestures;
    canvas.addEventListener('pointerdown', event => this.#press(canvas, event));
    canvas.addEventListener('pointermove', event => this.#move(event));
    canvas.addEventListener('pointerup', event => this.#release(event));
    canvas.addEventListener('pointercancel', () => {
      this.#pressed = null;
      gestures.dragBox();
    });
    canvas.addEventListener('pointerleave', () => {
      if (this.#pressed === null) gestures.hover(null);
    });
    canvas.addEventListener(
      'wheel',
      event => {
        event.preventDefault();
        gestures.zoom(Math.exp(-event.deltaY * WHEEL_SPEED), { x: event.offsetX, y: event.offsetY });
      },
      { passive: false },
    );
    canvas.addEventListener('dblclick', event => {
      if (event.shiftKey) return;
      if (gestures.isZoomed()) gestures.reset();
      else gestures.zoom(DOUBLE_CLICK_ZOOM, { x: event.offsetX, y: event.offsetY });
    });
  }

  /** Corners of the box that is being drawn, in CSS pixels of the canvas. */
  get draggedBox(): { from: CanvasPoint; to: CanvasPoint } | null {
    const pressed = this.#pressed;
    return pressed?.box && pressed.moved ? { from: pressed.at, to: pressed.last } : null;
  }

  #press(canvas: HTMLCanvasElement, event: PointerEvent): void {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    const at = { x: event.offsetX, y: event.offsetY };
    this.#pressed = { at, last: at, box: event.shiftKey, moved: false };
  }

  #move(event: PointerEvent): void {
    const at = { x: event.offsetX, y: event.offsetY };
    const pressed = this.#pressed;
    if (pressed === null) {
      this.#gestures.hover(at);
      return;
    }
    const distance = Math.hypot(at.x - pressed.at.x, at.y - pressed.at.y);
    if (!pressed.moved && distance < CLICK_TOLERANCE) return;
    const { last } = pressed;
    pressed.moved = true;
    pressed.last = at;
    if (pressed.box) this.#gestures.dragBox();
    else this.#gestures.pan(at.x - last.x, at.y - last.y);
  }

  #release(event: PointerEvent): void {
    const pressed = this.#pressed;
    if (pressed === null) return;
    this.#pressed = null;
    const at = { x: event.offsetX, y: event.offsetY };
    if (!pressed.moved) this.#gestures.pick(at);
    else if (pressed.box) this.#gestures.box(pressed.at, at);
  }
}
