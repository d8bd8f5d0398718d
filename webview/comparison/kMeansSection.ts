import type { ComparedRun } from '../../trainer/compare/protocol.ts';
import { createButton, createProgressRing, createSlider } from '../controls.ts';
import { drawSample } from '../curveSample.ts';
import { element, setText } from '../dom.ts';
import { CellCanvas } from '../inspector/cellPixels.ts';
import { gridOf } from '../inspector/featureMap.ts';
import { problemOf } from '../panelHost.ts';
import type { Palette } from '../theme.ts';
import type { ComparisonHost } from './host.ts';
import type { ClusterMap, ComparisonProblem, ComparisonState, KMeansColumn } from './protocol.ts';
import { runCurve } from './runCurve.ts';

/** Opacity of clusters over the image, as in the inspector. */
const OPACITY = 0.6;
/** Longest side of a picture in pixels; small images are enlarged to it, so that their patches can be told apart. */
const SIDE = 640;
/** A slider that moves asks once it rests, in milliseconds. */
const REST = 250;

export interface KMeansActions {
  host: ComparisonHost;
  remember(change: Partial<ComparisonState>): void;
  say(text: string): void;
}

/** The same image clustered through the student of every run; a cluster has its colour in all columns. */
export class KMeansSection {
  readonly root: HTMLElement;
  readonly #actions: KMeansActions;
  readonly #columns = element('div', { class: 'cluster-columns' });
  readonly #status = element('p', { class: 'card-note', attributes: { role: 'status' } });
  readonly #note = element('span', { class: 'card-note' });
  readonly #ring = createProgressRing();
  #state: ComparisonState;
  #key = '';
  #drawnKey = '';
  #image: { path: string; picture: HTMLImageElement | null; problem: string | null } | null = null;
  #found: KMeansColumn[] = [];
  #abort: AbortController | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(state: ComparisonState, actions: KMeansActions) {
    this.#state = state;
    this.#actions = actions;
    const slider = createSlider({
      label: 'Clusters',
      minimum: 2,
      maximum: 24,
      step: 1,
      value: state.kMeans.k,
      format: String,
      onInput: k => actions.remember({ kMeans: { ...this.#state.kMeans, k } }),
    });
    slider.dataset.control = 'k';
    const browse = createButton({
      label: 'Choose Image…',
      icon: 'image',
      onClick: () => void this.#browse(),
    });
    this.#ring.hidden = true;
    this.root = element(
      'section',
      { class: 'card k-means' },
      element('header', {}, element('h2', { text: 'K-Means of the same image' }), this.#note),
      element('div', { class: 'controls' }, browse, slider, this.#ring, this.#status),
      this.#columns,
    );
  }

  /**
   * @param students Changes when a student is written anew.
   * @param proposed Image to begin with where none was chosen.
   */
  update(
    state: ComparisonState,
    runs: readonly ComparedRun[],
    students: readonly string[],
    proposed: string | null,
    trusted: boolean,
    palette: Palette,
  ): void {
    this.#state = state;
    const image = state.kMeans.image ?? proposed;
    const { k } = state.kMeans;
    const directories = runs.map(({ directory }) => directory);
    const key = JSON.stringify([
      image,
      k,
      students,
      directories,
      trusted,
      runs.map(({ problem }) => problem),
    ]);
    if (key !== this.#key) {
      this.#key = key;
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.#timer = setTimeout(() => void this.#load(image, k, trusted), this.#drawnKey === '' ? 0 : REST);
    }
    this.#draw(state, runs, palette);
  }

  async #browse(): Promise<void> {
    try {
      const image = await this.#actions.host.request('browseImage', null);
      if (image !== null) this.#actions.remember({ kMeans: { ...this.#state.kMeans, image } });
    } catch (error) {
      this.#actions.say(problemOf(error).message);
    }
  }

  async #load(image: string | null, k: number, trusted: boolean): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    const { host } = this.#actions;
    setText(this.#note, image?.split(/[\\/]/).pop() ?? '');
    this.#note.title = image ?? '';
    if (image === null || !trusted) {
      this.#found = [];
      const why = image === null ? 'Choose an image.' : 'Trust this workspace to compute clusters.';
      this.#finish(why);
      return;
    }
    this.#ring.hidden = false;
    try {
      await this.#loadImage(image);
      const progress = (stage: string, fraction: number | null): void =>
        setText(this.#status, `${stage}… ${Math.round(100 * (fraction ?? 0))} %`);
      const found = await host.request('kMeans', { image, k }, { signal: abort.signal, progress });
      if (abort.signal.aborted) return;
      this.#found = found;
      this.#finish(this.#image?.problem ?? '');
    } catch (error) {
      if (abort.signal.aborted) return;
      const problem: ComparisonProblem = problemOf(error);
      this.#found = [];
      this.#finish(problem.message);
    }
  }

  #finish(said: string): void {
    this.#ring.hidden = true;
    setText(this.#status, said);
    this.#drawnKey = '';
    this.#actions.remember({});
  }

  async #loadImage(path: string): Promise<void> {
    if (this.#image?.path === path && this.#image.picture !== null) return;
    const { type, bytes, problem } = await this.#actions.host.request('image', { path });
    const picture = bytes === null ? null : await decode(new Blob([bytes], { type: type ?? '' }));
    this.#image?.picture?.remove();
    const unseen =
      picture === null ? 'This image cannot be drawn here; clusters are shown without it.' : null;
    this.#image = { path, picture, problem: problem ?? unseen };
  }

  #draw(state: ComparisonState, runs: readonly ComparedRun[], palette: Palette): void {
    const names = runs.map(({ name }) => name);
    const key = JSON.stringify([this.#key, names, palette.light, state.runs, this.#found.length]);
    if (key === this.#drawnKey) return;
    this.#drawnKey = key;
    this.#columns.replaceChildren(
      ...this.#found.flatMap(({ directory, map, problem }) => {
        const run = runs.find(other => other.directory === directory);
        const look = state.runs.find(other => other.directory === directory)?.look;
        if (run === undefined || look === undefined) return [];
        const caption = element(
          'figcaption',
          {},
          drawSample(runCurve(look), palette),
          element('span', { text: run.name }),
        );
        const content =
          map === null
            ? element('p', { class: 'empty', text: problem ?? '' })
            : this.#picture(map, `Clusters of ${run.name}`);
        return [element('figure', { attributes: { 'data-run': directory } }, caption, content)];
      }),
    );
  }

  #picture(map: ClusterMap, label: string): HTMLCanvasElement {
    const grid = gridOf(map);
    const { imageWidth, imageHeight } = grid;
    const scale = SIDE / Math.max(imageWidth, imageHeight);
    const clusters = new Set(map.labels.filter(found => found >= 0)).size;
    const canvas = element('canvas', {
      attributes: { role: 'img', 'aria-label': `${label}: ${clusters} clusters` },
    });
    canvas.width = Math.max(1, Math.round(imageWidth * scale));
    canvas.height = Math.max(1, Math.round(imageHeight * scale));
    const context = canvas.getContext('2d');
    if (context === null) return canvas;
    context.imageSmoothingQuality = 'high';
    const picture = this.#image?.picture ?? null;
    if (picture !== null) context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const labels = Int16Array.from(map.labels);
    const highest = Math.max(0, ...map.labels);
    const colours = Array.from({ length: highest + 1 }, (_, cluster) => cluster);
    const { source, covered } = new CellCanvas().draw({ kind: 'labels', labels, colours }, grid, false);
    context.globalAlpha = picture === null ? 1 : OPACITY;
    context.imageSmoothingEnabled = false;
    context.drawImage(source, 0, 0, covered.width * scale, covered.height * scale);
    return canvas;
  }
}

/** The image with its pixels as they lie in the file, which is how models see it; null where it cannot be drawn. */
function decode(blob: Blob): Promise<HTMLImageElement | null> {
  const image = element('img', { class: 'source-image' });
  const address = URL.createObjectURL(blob);
  return new Promise(resolve => {
    const done = (found: HTMLImageElement | null): void => {
      URL.revokeObjectURL(address);
      resolve(found);
    };
    image.onload = () => done(image);
    image.onerror = () => done(null);
    // In the document, so that its style sheet keeps the EXIF rotation off.
    document.body.append(image);
    image.src = address;
  });
}
