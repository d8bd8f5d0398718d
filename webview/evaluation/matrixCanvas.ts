import { element, setAttribute, setText } from '../dom.ts';
import type { Palette } from '../theme.ts';
import {
  cellAt,
  extentOf,
  fittingCell,
  layoutOf,
  MAXIMUM_CELL,
  type MatrixLayout,
  type Room,
  roomFor,
  zoomedScroll,
} from './matrixGeometry.ts';
import { type MatrixEntry, paintMatrix } from './matrixPainting.ts';

export interface MatrixContent {
  names: readonly string[];
  rows: readonly (readonly MatrixEntry[])[];
}

export interface MatrixCanvasOptions {
  /** What the tooltip and the screen reader say of a cell, by row and column: a first line and the others. */
  describe: (row: number, column: number) => string[];
  open: (row: number, column: number) => void;
}

/** Zoom of one press of a button or key. */
const STEP = 1.6;
/** Largest side of a picture that is saved, pixels. */
const PICTURE_SIDE = 4000;

/** A matrix of any size on a canvas: scrolls, zooms about the pointer, and has a cursor that the arrow keys move. */
export class MatrixCanvas {
  readonly root: HTMLElement;
  readonly #options: MatrixCanvasOptions;
  readonly #canvas: HTMLCanvasElement;
  readonly #scroller: HTMLElement;
  readonly #space = element('div', { class: 'matrix-space' });
  readonly #tooltip = element('div', { class: 'matrix-tooltip', attributes: { 'aria-hidden': 'true' } });
  readonly #spoken = element('div', { class: 'screen-reader', attributes: { 'aria-live': 'polite' } });
  #content: MatrixContent = { names: [], rows: [] };
  #room: Room = roomFor(0);
  #layout: MatrixLayout = layoutOf(0, 1, roomFor(0));
  /** The whole matrix is kept in sight until somebody zooms. */
  #fits = true;
  #cursor: { row: number; column: number } | null = null;
  #palette: Palette;
  #drawScheduled = false;

  constructor(options: MatrixCanvasOptions, palette: Palette) {
    this.#options = options;
    this.#palette = palette;
    this.#canvas = element('canvas', { class: 'matrix-canvas' });
    this.#space.append(this.#canvas);
    this.#scroller = element(
      'div',
      {
        class: 'matrix-scroller',
        attributes: { tabindex: '0', role: 'application', 'aria-roledescription': 'matrix' },
      },
      this.#space,
    );
    this.#tooltip.hidden = true;
    this.root = element('div', { class: 'matrix' }, this.#scroller, this.#tooltip, this.#spoken);
    this.#listen();
    new ResizeObserver(() => this.#resized()).observe(this.#scroller);
  }

  set label(label: string) {
    setAttribute(this.#scroller, 'aria-label', label);
  }

  update(content: MatrixContent): void {
    const changed = content.names.length !== this.#content.names.length;
    this.#content = content;
    this.#room = roomFor(this.#longestName());
    if (changed) {
      this.#cursor = null;
      this.#fits = true;
    }
    this.#resized();
  }

  setPalette(palette: Palette): void {
    this.#palette = palette;
    this.#schedule();
  }

  zoomIn(): void {
    this.#zoom(this.#layout.cell * STEP, this.#middle());
  }

  zoomOut(): void {
    this.#zoom(this.#layout.cell / STEP, this.#middle());
  }

  fit(): void {
    this.#fits = true;
    this.#resized();
  }

  /** Moves the cursor to a cell and brings it into sight. */
  select(row: number, column: number): void {
    this.#moveTo({ row, column }, false);
  }

  /** The whole matrix as a PNG, large enough to read its names where that is possible. */
  async png(): Promise<ArrayBuffer> {
    const count = this.#content.names.length;
    const layout = layoutOf(
      count,
      Math.min(Math.max((PICTURE_SIDE - 140) / Math.max(count, 1), 1), 24),
      this.#room,
    );
    const { width, height } = extentOf(layout);
    const canvas = new OffscreenCanvas(Math.ceil(width) + 1, Math.ceil(height) + 1);
    const context = canvas.getContext('2d');
    if (context === null) throw new Error('The picture cannot be drawn here.');
    const picture = {
      ...this.#content,
      layout,
      scroll: { x: 0, y: 0 },
      cursor: null,
      palette: this.#palette,
    };
    paintMatrix(context, { ...picture, width: canvas.width, height: canvas.height });
    context.globalCompositeOperation = 'destination-over';
    context.fillStyle = this.#palette.background;
    context.fillRect(0, 0, canvas.width, canvas.height);
    return (await canvas.convertToBlob({ type: 'image/png' })).arrayBuffer();
  }

  #longestName(): number {
    const context = this.#canvas.getContext('2d')!;
    context.save();
    context.font = `600 ${this.#palette.fontSize - 1}px ${this.#palette.fontFamily}`;
    const longest = Math.max(0, ...this.#content.names.map(name => context.measureText(name).width));
    context.restore();
    return longest;
  }

  get #scroll(): { x: number; y: number } {
    return { x: this.#scroller.scrollLeft, y: this.#scroller.scrollTop };
  }

  #middle(): { x: number; y: number } {
    const { clientWidth, clientHeight } = this.#scroller;
    return { x: clientWidth / 2, y: clientHeight / 2 };
  }

  #resized(): void {
    const { clientWidth, clientHeight } = this.#scroller;
    const fitting = fittingCell(this.#content.names.length, clientWidth, clientHeight, this.#room);
    if (this.#fits || this.#layout.count !== this.#content.names.length)
      this.#layout = layoutOf(this.#content.names.length, fitting, this.#room);
    const { width, height } = extentOf(this.#layout);
    // Less than a pixel over the edge is rounding, not a reason for scroll bars.
    this.#space.style.width = `${this.#fits ? Math.min(Math.floor(width), clientWidth) : width}px`;
    this.#space.style.height = `${this.#fits ? Math.min(Math.floor(height), clientHeight) : height}px`;
    this.#schedule();
  }

  #zoom(cell: number, point: { x: number; y: number }): void {
    const { clientWidth, clientHeight } = this.#scroller;
    const before = this.#layout;
    const { x, y } = this.#scroll;
    const fitting = fittingCell(before.count, clientWidth, clientHeight, this.#room);
    this.#fits = cell <= fitting * 1.01;
    this.#layout = layoutOf(
      before.count,
      this.#fits ? fitting : Math.min(cell, Math.max(MAXIMUM_CELL, fitting)),
      this.#room,
    );
    this.#resized();
    this.#scroller.scrollLeft = zoomedScroll(before, this.#layout, x, point.x, 'left');
    this.#scroller.scrollTop = zoomedScroll(before, this.#layout, y, point.y, 'top');
  }

  #schedule(): void {
    if (this.#drawScheduled) return;
    this.#drawScheduled = true;
    requestAnimationFrame(() => {
      this.#drawScheduled = false;
      this.#draw();
    });
  }

  #draw(): void {
    const { clientWidth: width, clientHeight: height } = this.#scroller;
    if (width === 0 || height === 0) return;
    const ratio = window.devicePixelRatio || 1;
    const canvas = this.#canvas;
    const [pixelsAcross, pixelsDown] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== pixelsAcross || canvas.height !== pixelsDown) {
      canvas.width = pixelsAcross;
      canvas.height = pixelsDown;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const context = canvas.getContext('2d')!;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const { names, rows } = this.#content;
    paintMatrix(context, {
      ...{ names, rows, width, height },
      layout: this.#layout,
      scroll: this.#scroll,
      cursor: this.#cursor,
      palette: this.#palette,
    });
  }

  #listen(): void {
    const scroller = this.#scroller;
    const at = (event: MouseEvent): { x: number; y: number } => {
      const { left, top } = scroller.getBoundingClientRect();
      return { x: event.clientX - left, y: event.clientY - top };
    };
    scroller.addEventListener('scroll', () => this.#schedule(), { passive: true });
    scroller.addEventListener('pointermove', event => this.#hover(at(event)));
    scroller.addEventListener('pointerleave', () => {
      this.#tooltip.hidden = true;
    });
    scroller.addEventListener('click', event => {
      const cell = cellAt(this.#layout, this.#scroll, at(event));
      if (cell === null) return;
      this.#moveTo(cell, false);
      this.#options.open(cell.row, cell.column);
    });
    scroller.addEventListener(
      'wheel',
      event => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        this.#zoom(this.#layout.cell * Math.exp(-event.deltaY / 300), at(event));
      },
      { passive: false },
    );
    scroller.addEventListener('keydown', event => this.#key(event));
  }

  #hover(point: { x: number; y: number }): void {
    const cell = cellAt(this.#layout, this.#scroll, point);
    this.#tooltip.hidden = cell === null;
    if (cell === null) return;
    this.#showTooltip(this.#options.describe(cell.row, cell.column), point);
    if (cell.row !== this.#cursor?.row || cell.column !== this.#cursor.column) {
      this.#cursor = cell;
      this.#schedule();
    }
  }

  #showTooltip([title, ...lines]: string[], point: { x: number; y: number }): void {
    this.#tooltip.replaceChildren(
      element('strong', { text: title ?? '' }),
      ...lines.map(text => element('span', { text })),
    );
    const { clientWidth, clientHeight } = this.#scroller;
    const { offsetWidth, offsetHeight } = this.#tooltip;
    const x = point.x + 16 + offsetWidth > clientWidth ? point.x - 12 - offsetWidth : point.x + 16;
    const y = point.y + 16 + offsetHeight > clientHeight ? point.y - 12 - offsetHeight : point.y + 16;
    this.#tooltip.style.transform = `translate(${Math.max(x, 0)}px, ${Math.max(y, 0)}px)`;
  }

  #key(event: KeyboardEvent): void {
    const count = this.#content.names.length;
    if (count === 0) return;
    const { row, column } = this.#cursor ?? { row: 0, column: 0 };
    const jump = event.ctrlKey || event.metaKey;
    const target = {
      ArrowLeft: { row, column: jump ? this.#next(row, column, -1) : column - 1 },
      ArrowRight: { row, column: jump ? this.#next(row, column, 1) : column + 1 },
      ArrowUp: { row: row - 1, column },
      ArrowDown: { row: row + 1, column },
      PageUp: { row: row - 10, column },
      PageDown: { row: row + 10, column },
      Home: { row, column: 0 },
      End: { row, column: count - 1 },
    }[event.key];
    if (target !== undefined) this.#moveTo(target, true);
    else if (event.key === 'Enter' || event.key === ' ') this.#options.open(row, column);
    else if (event.key === '+' || event.key === '=') this.zoomIn();
    else if (event.key === '-') this.zoomOut();
    else if (event.key === '0') this.fit();
    else return;
    event.preventDefault();
  }

  /** The next cell of a row that holds something. */
  #next(row: number, column: number, direction: 1 | -1): number {
    const columns = (this.#content.rows[row] ?? [])
      .map(entry => entry.column)
      .sort((a, b) => direction * (a - b));
    return columns.find(candidate => direction * (candidate - column) > 0) ?? column;
  }

  #moveTo(cell: { row: number; column: number }, speak: boolean): void {
    const within = (value: number): number => Math.min(Math.max(value, 0), this.#content.names.length - 1);
    this.#cursor = { row: within(cell.row), column: within(cell.column) };
    const { left, top, cell: side } = this.#layout;
    const { clientWidth, clientHeight } = this.#scroller;
    const { x, y } = this.#scroll;
    const reveal = (place: number, scroll: number, room: number): number =>
      Math.min(Math.max(scroll, (place + 1) * side - room), place * side);
    this.#scroller.scrollLeft = reveal(this.#cursor.column, x, clientWidth - left);
    this.#scroller.scrollTop = reveal(this.#cursor.row, y, clientHeight - top);
    this.#schedule();
    if (!speak) return;
    const lines = this.#options.describe(this.#cursor.row, this.#cursor.column);
    setText(this.#spoken, lines.join('. '));
    this.#tooltip.hidden = false;
    const scroll = this.#scroll;
    const at = {
      x: left + this.#cursor.column * side - scroll.x,
      y: top + this.#cursor.row * side - scroll.y,
    };
    this.#showTooltip(lines, { x: at.x + side / 2, y: at.y + side / 2 });
  }
}
