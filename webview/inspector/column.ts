import type { ReadOut } from '../../trainer/inspect/protocol.ts';
import type { Status } from './columnStatus.ts';
import { type InspectorHost, problemOf } from './host.ts';
import type { LoadedMap, MapStore } from './mapStore.ts';
import { SIZES } from './panelState.ts';
import { type ColumnSettings, type ModelDescription, sourceKey } from './protocol/models.ts';
import type { ClusterSettings, FeatureQuery, KMeansMap } from './protocol/requests.ts';
import { RunFollowing } from './runFollowing.ts';

export interface ColumnEvents {
  /** The map is there; `quietly` when nobody asked for another one. */
  onMap: (quietly: boolean) => void;
  /** The model is known now. */
  onDescribed: () => void;
  /** Status or description changed. */
  onStatus: () => void;
  /** The column is at work, or further with it: only what says so need be drawn. */
  onProgress: () => void;
  /** Clusters that are wanted with the map; null for none. */
  wantedClusters: () => ClusterSettings | null;
  onClusters: (clusters: KMeansMap, settings: ClusterSettings) => void;
}

/**
 * Progress appears only when an answer takes longer than this, in milliseconds: most come from a cache, and each frame
 * takes the cores from what it tells of.
 */
const PROGRESS_DELAY = 1000;

/** One column's settings, and the feature map they lead to. */
export class Column {
  settings: ColumnSettings;
  status: Status = { kind: 'noModel' };
  description: ModelDescription | null = null;
  /** The last map that arrived; while the next is on its way it is still shown. */
  map: LoadedMap | null = null;
  /** The query that `map` answers. */
  query: FeatureQuery | null = null;
  readonly following = new RunFollowing();
  readonly #host: InspectorHost;
  readonly #store: MapStore;
  readonly #events: ColumnEvents;
  #describedSource = '';
  #abort: AbortController | null = null;
  #loading = false;

  constructor(settings: ColumnSettings, host: InspectorHost, store: MapStore, events: ColumnEvents) {
    this.settings = settings;
    this.#host = host;
    this.#store = store;
    this.#events = events;
  }

  /** Its map is on its way. */
  get isLoading(): boolean {
    return this.#loading;
  }

  /** Forgets the map: the image is another one, or changed. */
  forget(): void {
    this.map = null;
    this.query = null;
  }

  /**
   * Asks for the map of an image with the settings of now, and gives up what was asked before.
   *
   * @param quietly Progress is not shown over the map that is there: nobody asked for another one.
   */
  async load(image: number, trusted: boolean, quietly = false): Promise<void> {
    this.#abort?.abort();
    this.#abort = null;
    this.#loading = false;
    const { source } = this.settings;
    if (source === null || !trusted) {
      this.forget();
      this.#setStatus({ kind: source === null ? 'noModel' : 'untrusted' });
      return;
    }
    const abort = new AbortController();
    this.#abort = abort;
    this.#loading = true;
    const query: FeatureQuery = { ...this.settings, readOut: mapReadOut(this.settings), source, image };
    let stage = 'Starting';
    let fraction: number | null = null;
    const hidden = quietly && this.map !== null;
    const show = (): void => {
      if (!hidden) this.#setStatus({ kind: 'loading', stage, fraction });
    };
    const spinner = setTimeout(show, PROGRESS_DELAY);
    const started = performance.now();
    try {
      void this.#describe(query, abort.signal);
      const wanted = this.#events.wantedClusters();
      const asked = { ...query, clusters: wanted };
      const { clusters, ...result } = await this.#host.request('features', asked, {
        signal: abort.signal,
        progress: (nextStage, nextFraction) => {
          stage = nextStage;
          fraction = nextFraction;
          if (!abort.signal.aborted && performance.now() - started > PROGRESS_DELAY) show();
        },
      });
      if (this.#abort !== abort) return;
      this.#loading = false;
      this.map = this.#store.add(query, result);
      this.query = query;
      if (wanted !== null && clusters !== null) this.#events.onClusters(clusters, wanted);
      this.#setStatus({ kind: 'ready' });
      this.#events.onMap(quietly);
    } catch (error) {
      if (this.#abort === abort) this.#fail(error);
    } finally {
      clearTimeout(spinner);
    }
  }

  /** The user gives up what is being computed. */
  cancel(): void {
    this.#abort?.abort();
  }

  dispose(): void {
    this.#abort?.abort();
    this.#abort = null;
  }

  async #describe({ source }: FeatureQuery, signal: AbortSignal): Promise<void> {
    const name = sourceKey(source);
    if (name === this.#describedSource) return;
    try {
      const description = await this.#host.request('describe', { source }, { signal });
      this.#describedSource = name;
      this.description = description;
      this.#events.onStatus();
      this.#events.onDescribed();
    } catch {
      // The request for features fails for the same reason, and its problem is the one that is shown.
    }
  }

  #fail(error: unknown): void {
    const problem = problemOf(error);
    this.#loading = false;
    this.map = null;
    this.query = null;
    const smaller = SIZES.findLast(size => size < this.settings.size) ?? null;
    this.#setStatus({ kind: 'problem', problem, otherSize: problem.suggestedSize ?? smaller });
  }

  #setStatus(status: Status): void {
    this.status = status;
    if (status.kind === 'loading') this.#events.onProgress();
    else this.#events.onStatus();
  }
}

/** The read-out of a column's map: mask attention has none, and lies on the grid of the others. */
function mapReadOut({ readOut }: ColumnSettings): ReadOut {
  return readOut === 'maskAttention' ? 'value' : readOut;
}
