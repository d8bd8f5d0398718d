import { element, setAttribute, setText } from '../dom.ts';
import type { Palette } from '../theme.ts';
import { CellCanvas } from './cellPixels.ts';
import type { ColumnHeader } from './columnHeader.ts';
import { ColumnStatus, type StatusActions } from './columnStatus.ts';
import type { MapGrid } from './featureMap.ts';
import { drawOutline } from './marks.ts';
import type { Box } from './protocol/requests.ts';
import { type Scene, Stage, type StageEvents } from './stage.ts';
import type { Picture } from './views/view.ts';

/** What is pointed at in a column. */
export interface ColumnMarks {
  hovered: Box | null;
  pinned: Box | null;
  drawn: Box | null;
}

export interface ColumnDrawing {
  image: CanvasImageSource | null;
  /** Tells this image from others that the same source shows. */
  imageName: string;
  /** Image pixels. */
  size: { width: number; height: number };
  grid: MapGrid | null;
  picture: Picture | null;
  marks: ColumnMarks;
  opacity: number;
  smooth: boolean;
  /** Numbers below the legend. */
  facts: string;
  /** Spoken and shown line about the patch under the cursor. */
  readout: string;
  /** Name of the picture for screen readers. */
  label: string;
}

/** One column: settings, the image with its overlay, legend, readout and figures. */
export class ColumnView {
  readonly root: HTMLElement;
  readonly header: ColumnHeader;
  readonly status: ColumnStatus;
  readonly stage: Stage;
  readonly #cells = new CellCanvas();
  readonly #menu: HTMLElement;
  readonly #legend = element('div', { class: 'column-legend' });
  readonly #readout = element('p', { class: 'readout', attributes: { 'aria-live': 'off' } });
  readonly #facts = element('p', { class: 'facts-line' });
  #palette: Palette;
  #legendKey: string | null = null;

  constructor(
    header: ColumnHeader,
    statusActions: StatusActions,
    stageEvents: StageEvents,
    menu: HTMLElement,
    palette: Palette,
  ) {
    this.#palette = palette;
    this.header = header;
    this.#menu = menu;
    this.status = new ColumnStatus(statusActions);
    this.stage = new Stage(palette, stageEvents);
    this.stage.root.append(this.status.root);
    this.root = element(
      'section',
      { class: 'column' },
      header.root,
      this.stage.root,
      this.#readout,
      this.#legend,
      element('div', { class: 'column-foot' }, this.#facts, menu),
    );
  }

  draw(drawing: ColumnDrawing | null): void {
    this.#menu.classList.toggle('unseen', !drawing?.grid);
    if (drawing === null) {
      this.stage.show(null);
      this.#describe('', '', null);
      return;
    }
    const { picture, grid, image, size } = drawing;
    const overlay = picture?.cells && grid ? this.#cells.draw(picture.cells, grid, drawing.smooth) : null;
    const scene: Scene = {
      image,
      imageName: drawing.imageName,
      size,
      overlay,
      opacity: drawing.opacity,
      pixelated: !drawing.smooth,
      drawMarks: (context, placement) => {
        picture?.marks?.(context, placement);
        const { hovered, pinned, drawn } = drawing.marks;
        if (hovered) drawOutline(context, placement, hovered, this.#palette, { dashed: pinned !== null });
        if (pinned) drawOutline(context, placement, pinned, this.#palette, { width: 3 });
        if (drawn) drawOutline(context, placement, drawn, this.#palette, { width: 3 });
      },
    };
    this.stage.show(scene);
    setAttribute(this.stage.canvas, 'aria-label', drawing.label);
    this.#describe(drawing.readout, drawing.facts, picture);
  }

  setPalette(palette: Palette): void {
    this.#palette = palette;
    this.stage.setPalette(palette);
  }

  dispose(): void {
    this.header.dispose();
    this.stage.dispose();
    this.root.remove();
  }

  #describe(readout: string, facts: string, picture: Picture | null): void {
    // Only the column that has the focus speaks: all follow one cursor.
    const focused = document.activeElement === this.stage.canvas;
    setAttribute(this.#readout, 'aria-live', focused ? 'polite' : 'off');
    setText(this.#readout, readout);
    setText(this.#facts, facts);
    // The legend before keeps its place until the next is there: else the image would change its size twice.
    this.#legend.classList.toggle('unseen', picture === null);
    if (picture === null || picture.legendKey === this.#legendKey) return;
    this.#legendKey = picture.legendKey;
    const entry = this.#focusedEntry();
    this.#legend.replaceChildren(...picture.legend());
    if (entry >= 0) this.#legend.querySelectorAll<HTMLElement>('button')[entry]?.focus();
  }

  /** Which button of the legend has the focus, so that its successor can have it; −1 for none. */
  #focusedEntry(): number {
    return [...this.#legend.querySelectorAll<Element>('button')].indexOf(
      document.activeElement ?? this.#legend,
    );
  }
}
