import type { Layer } from '../../../trainer/dense/overlay.ts';
import type { PictureContext } from '../../plate.ts';
import type { Palette } from '../../theme.ts';
import type { Cursor } from '../cursor.ts';
import type { InspectorHost, ProgressListener } from '../host.ts';
import type { LoadedMap } from '../mapStore.ts';
import type { ColumnSettings } from '../protocol/models.ts';
import type {
  Box,
  ClusterSettings,
  CopyCommandQuery,
  FeatureQuery,
  KMeansMap,
  LoadedBoxes,
} from '../protocol/requests.ts';
import type { InspectorState, InspectorView } from '../protocol/state.ts';
import type { Placement } from '../viewport.ts';

/** A column whose map is there. */
export interface ReadyColumn {
  /** Place from the left, 0 … 3. */
  index: number;
  /** What it is called in sentences. */
  name: string;
  settings: ColumnSettings;
  query: FeatureQuery;
  map: LoadedMap;
  /** Blocks of the model; null while it has not been described. */
  layers: number | null;
}

/** What a view shows in one column. */
export interface Picture {
  /** A value, colour or cluster for each patch. */
  cells: Layer | null;
  /** Lines and numbers over the image, in CSS pixels. */
  marks: ((context: PictureContext, placement: Placement) => void) | null;
  /** Below the image; replaced only when `legendKey` changes, so that focus and pointer stay where they are. */
  legend: () => Node[];
  legendKey: string;
  /** One line of numbers. */
  facts: string;
  /** Share of the image of each cluster or word, where there are such. */
  shares?: readonly number[];
  /** What these are called, beyond a number; empty for those without a name. */
  names?: readonly string[];
  /** What the readout says of a patch; absent where it is the view's own words. */
  describe?: (patch: number) => string;
}

/** What views know and may do. */
export interface ViewContext {
  readonly host: InspectorHost;
  readonly cursor: Cursor;
  readonly state: InspectorState;
  readonly palette: Palette;
  readonly columns: readonly ReadyColumn[];
  /** Pixels of the image in view; null while there are none. */
  readonly image: CanvasImageSource | null;
  remember(change: Partial<InspectorState>): void;
  /** Fetches the values of the columns' maps where they are not there yet, and draws all columns again. */
  loadValues(columns: readonly ReadyColumn[]): Promise<void>;
  /** Draws all columns again. */
  redraw(): void;
  /** Shows a line to the user. */
  say(text: string): void;
  /** Calls `load` again: a setting changed what must be asked for. */
  reload(): void;
}

/** One way to look at a feature map. Views are listed in `viewList.ts`. */
export interface View {
  readonly id: InspectorView;
  readonly label: string;
  /** How it is used, one sentence; spoken with the canvas. */
  readonly help: string;
  /** Controls of this view only, shown under the toolbar. */
  readonly controls: HTMLElement;
  /**
   * Fetches, while nothing else is asked for, what a next step of the user would need, as far as that takes no forward
   * pass: the view itself while another is shown, its neighbouring settings while it is.
   */
  prepare?(columns: readonly ReadyColumn[], signal: AbortSignal): Promise<void>;
  /** The same, after all views have prepared, of the view that is shown alone: settings farther off. */
  prepareFurther?(columns: readonly ReadyColumn[], signal: AbortSignal): Promise<void>;
  /** It reads whole regions, not a value for each patch: mask attention can be asked. */
  readonly readsRegions?: boolean;
  /** Brings the controls up to the state and the columns. */
  refreshControls?(): void;
  /** Fetches what the columns need beyond the grid of their maps and is not there yet. */
  load?(columns: readonly ReadyColumn[], signal: AbortSignal, progress: ProgressListener): Promise<void>;
  /** Clusters that the service shall answer with the map of the only column, so that the picture takes one request. */
  wantedClusters?(): ClusterSettings | null;
  /** They are there. */
  takeClusters?(clusters: KMeansMap, settings: ClusterSettings): void;
  /** Null while what it needs has not arrived. */
  picture(column: ReadyColumn): Picture | null;
  /** What the readout says of a patch. */
  describe(column: ReadyColumn, patch: number): string;
  /** A click or Enter on a patch; false when the view has no use for it. */
  pick?(column: ReadyColumn, patch: number): boolean;
  /** A key that columns do not use themselves, with the patch under the cursor; true when it was used. */
  key?(event: KeyboardEvent, column: ReadyColumn, patch: number): boolean;
  /** A box was drawn. */
  drawBox?(box: Box): void;
  /** Regions of the image in view came with the command. */
  takeBoxes?(boxes: LoadedBoxes['boxes']): void;
  /** The pointer or the arrow keys went to another patch. */
  moved?(): void;
  /** Another image is about to be shown; the columns still hold the maps of this one. */
  imageLeft?(columns: readonly ReadyColumn[]): void;
  /** Rows of a CSV export, header first; absent where the view has nothing to export. */
  csv?(column: ReadyColumn): string[][];
  /** Settings of this view for the copied command line. */
  commandOptions?(column: ReadyColumn): Partial<CopyCommandQuery>;
}
