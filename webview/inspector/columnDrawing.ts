import type { ColumnDrawing } from './columnView.ts';
import { differencePicture, messagePicture } from './difference.ts';
import { patchAt, patchBox, patchName } from './featureMap.ts';
import type { InspectorPanel } from './panel.ts';
import type { Box } from './protocol/requests.ts';
import type { Picture, ReadyColumn } from './views/view.ts';

export interface DrawableColumn {
  panel: InspectorPanel;
  /** Null while its map is not there. */
  ready: ReadyColumn | null;
  first: ReadyColumn | null;
  /** Shown as difference to the first column. */
  isDifference: boolean;
  name: string;
  /** The next map is on its way while this one is shown. */
  loading: boolean;
}

/** What a column shows now; null where there is nothing at all to show. */
export function drawColumn(drawable: DrawableColumn): ColumnDrawing | null {
  const { panel, ready, name } = drawable;
  const { view, state, image, imageAddress, imageSize } = panel;
  const grid = ready?.map.grid ?? null;
  // Where a browser cannot draw the image, its features are shown on an empty field of its size.
  const size = imageSize ?? (grid ? { width: grid.imageWidth, height: grid.imageHeight } : null);
  if (size === null) return null;
  const picture = ready === null ? null : pictureOf(drawable, ready);
  return {
    image,
    imageName: imageAddress,
    size,
    grid,
    picture,
    marks: marksOf(panel, ready),
    opacity: state.opacity,
    smooth: state.smooth,
    facts: factsOf(drawable, picture),
    readout: ready === null ? '' : readoutOf(drawable, ready, picture),
    label: `${panel.imageName}, ${view?.label ?? ''}, ${name}. ${view?.help ?? ''} Plus and minus zoom, 0 shows all.`,
  };
}

/** The picture of a column, and for the export the same without a panel in between. */
export function pictureOf(
  { panel, first, isDifference }: Omit<DrawableColumn, 'name' | 'loading'>,
  ready: ReadyColumn,
): Picture | null {
  const used = isDifference && first !== null ? [first, ready] : [ready];
  if (panel.view?.readsRegions !== true && used.some(({ settings }) => settings.readOut === 'maskAttention'))
    return messagePicture(
      'Mask attention reads regions and has no value for each patch. Choose Regions, or the patch grid with cosines.',
    );
  if (isDifference && first !== null) return differencePicture(panel, first, ready);
  return panel.view?.picture(ready) ?? null;
}

function marksOf(
  { cursor }: InspectorPanel,
  ready: ReadyColumn | null,
): { hovered: Box | null; pinned: Box | null; drawn: Box | null } {
  if (ready === null) return { hovered: null, pinned: null, drawn: null };
  const { grid } = ready.map;
  const boxOf = (point: { x: number; y: number } | null): Box | null => {
    const patch = point === null ? -1 : patchAt(grid, point);
    return patch < 0 ? null : patchBox(grid, patch);
  };
  return { hovered: boxOf(cursor.hovered), pinned: boxOf(cursor.pinned), drawn: cursor.box };
}

function readoutOf({ panel }: DrawableColumn, ready: ReadyColumn, picture: Picture | null): string {
  const { hovered, pinned } = panel.cursor;
  const point = hovered ?? pinned;
  const patch = point === null ? -1 : patchAt(ready.map.grid, point);
  if (patch < 0) return 'Point at a patch, or move with the arrow keys.';
  const described = picture?.describe?.(patch) ?? panel.view?.describe(ready, patch) ?? '';
  const place = patchName(ready.map.grid, patch);
  return `${place.charAt(0).toUpperCase()}${place.slice(1)}${described === '' ? '' : `: ${described}`}`;
}

function factsOf({ ready, loading, name }: DrawableColumn, picture: Picture | null): string {
  const parts = [loading ? `loading ${name}…` : '', picture?.facts ?? ''];
  if (ready !== null) {
    const { cached, milliseconds, size } = ready.map;
    parts.push(`${size} px`, cached ? 'from the cache' : `${Math.round(milliseconds.forward)} ms forward`);
  }
  return parts.filter(part => part !== '').join(' · ');
}
