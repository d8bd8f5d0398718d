import { readingNames } from '../accuracy.ts';
import { createButton, createProgressRing } from '../controls.ts';
import { element, setText } from '../dom.ts';
import { formatCount } from '../format.ts';
import { icon } from '../icons.ts';
import { createSelect, type Select } from '../select.ts';
import type { Comparison } from './comparison.ts';
import { type EvaluationHost, problemOf } from './host.ts';
import { PictureDialog } from './pictureDialog.ts';
import type { EvaluationState, RegionOutcome, RegionSelection, ShownRegion, Side } from './protocol.ts';
import { RegionCard } from './regionCard.ts';

const PAGE = 40;

const outcomeNames: Readonly<Record<RegionOutcome, string>> = {
  all: 'All regions',
  wrong: 'Named wrongly',
  close: 'True class among five',
  right: 'Named rightly',
};

export interface RegionsPaneOptions {
  host: EvaluationHost;
  remember: (change: Partial<EvaluationState>) => void;
  say: (text: string) => void;
}

type Selection = NonNullable<EvaluationState['selection']>;

/** Regions of a class or a cell of the matrix as pictures, fetched as they come into sight. */
export class RegionsPane {
  readonly root: HTMLElement;
  readonly dialog: HTMLElement;
  readonly #options: RegionsPaneOptions;
  readonly #picture: PictureDialog;
  readonly #title = element('h2');
  readonly #count = element('span', { class: 'card-note', attributes: { role: 'status' } });
  readonly #outcome: Select;
  readonly #cards = element('div', { class: 'region-cards' });
  readonly #notice = element('div', { class: 'pane-notice', attributes: { role: 'alert' } });
  readonly #waiting = element('div', { class: 'pane-waiting', attributes: { role: 'status' } });
  readonly #waitingText = element('span');
  readonly #more = createButton({ label: 'Show more', onClick: () => void this.#load() });
  readonly #pending = new Map<Element, RegionCard>();
  readonly #watch: IntersectionObserver;
  #selection: Selection | null = null;
  #comparison: Comparison | null = null;
  #loaded = 0;
  #abort: AbortController | null = null;
  #key = '';

  constructor(options: RegionsPaneOptions) {
    this.#options = options;
    this.#picture = new PictureDialog(options.host);
    this.dialog = this.#picture.root;
    this.#outcome = createSelect({
      label: 'Which regions',
      options: Object.entries(outcomeNames).map(([value, label]) => ({ value, label })),
      value: 'all',
      hideLabel: true,
      onChange: value => {
        if (this.#selection === null) return;
        options.remember({ selection: { ...this.#selection, outcome: value as RegionOutcome } });
      },
    });
    this.#waiting.append(createProgressRing(), this.#waitingText);
    this.root = element(
      'aside',
      { class: 'regions-pane', attributes: { 'aria-label': 'Regions' } },
      element(
        'header',
        {},
        this.#title,
        createButton({
          label: 'Close the regions',
          icon: 'close',
          appearance: 'icon',
          onClick: () => options.remember({ selection: null }),
        }),
      ),
      element('div', { class: 'pane-line' }, this.#outcome.root, this.#count),
      this.#notice,
      this.#cards,
      this.#waiting,
      this.#more,
    );
    this.#watch = new IntersectionObserver(entries => this.#seen(entries), { rootMargin: '200px' });
  }

  update(comparison: Comparison, selection: EvaluationState['selection']): void {
    this.root.hidden = selection === null;
    const report = selection === null ? null : comparison.report(selection.side);
    const key = selection === null ? '' : JSON.stringify([selection, report?.created, report?.model.path]);
    if (key === this.#key && comparison === this.#comparison) return;
    const isSame = key === this.#key;
    this.#key = key;
    this.#comparison = comparison;
    this.#selection = selection;
    if (isSame && selection !== null) return;
    this.reload();
  }

  /** Asks for everything again, as after the images were found. */
  reload(): void {
    this.#abort?.abort();
    this.#abort = null;
    this.#watch.disconnect();
    this.#pending.clear();
    this.#cards.replaceChildren();
    this.#notice.hidden = true;
    this.#loaded = 0;
    const { root } = this;
    root.scrollTop = 0;
    if (this.#selection === null || this.#comparison === null) return;
    setText(this.#title, titleOf(this.#selection, this.#comparison));
    setText(this.#count, '');
    // A cell of the matrix says itself whether its regions were named rightly.
    this.#outcome.root.hidden = this.#selection.named !== null;
    this.#outcome.value = this.#selection.outcome;
    void this.#load();
  }

  async #load(): Promise<void> {
    const selection = this.#selection;
    if (selection === null) return;
    const abort = this.#abort ?? new AbortController();
    this.#abort = abort;
    this.#more.hidden = true;
    this.#waiting.hidden = false;
    setText(this.#waitingText, 'Looking for regions…');
    try {
      const { total, regions } = await this.#options.host.request(
        'regions',
        { ...selection, offset: this.#loaded, count: PAGE },
        {
          signal: abort.signal,
          progress: (stage, fraction) =>
            setText(this.#waitingText, `${stage}… ${Math.round(100 * (fraction ?? 0))} %`),
        },
      );
      if (abort.signal.aborted) return;
      this.#loaded += regions.length;
      this.#add(regions, selection.side, selection.reading);
      setText(this.#count, `${formatCount(total)} ${total === 1 ? 'region' : 'regions'}`);
      this.#more.hidden = this.#loaded >= total || regions.length === 0;
      if (total === 0) this.#tell('No region is like this.', false);
    } catch (error) {
      const problem = problemOf(error);
      if (problem.kind !== 'cancelled') this.#tell(problem.message, false);
    } finally {
      if (this.#abort === abort) this.#waiting.hidden = true;
    }
  }

  #add(regions: readonly ShownRegion[], side: Side, reading: RegionSelection['reading']): void {
    const classes = this.#comparison?.report(side)?.classes ?? [];
    for (const region of regions) {
      const enlarge = (): void => void this.#picture.show(region, side, classes, this.#options.say);
      const card = new RegionCard({
        ...{ region, side, reading, classes, enlarge },
        open: () => void this.#open(region, side, enlarge),
      });
      this.#cards.append(card.root);
      this.#pending.set(card.root, card);
      this.#watch.observe(card.root);
    }
  }

  async #open({ place }: ShownRegion, side: Side, enlarge: () => void): Promise<void> {
    try {
      if ((await this.#options.host.request('openRegion', { side, place })) === 'picture') enlarge();
    } catch (error) {
      this.#options.say(problemOf(error).message);
    }
  }

  #seen(entries: readonly IntersectionObserverEntry[]): void {
    const [selection, abort] = [this.#selection, this.#abort];
    if (selection === null || abort === null) return;
    for (const { target, isIntersecting } of entries) {
      const card = this.#pending.get(target);
      if (!isIntersecting || card === undefined) continue;
      this.#pending.delete(target);
      this.#watch.unobserve(target);
      const query = { side: selection.side, place: card.region.place };
      this.#options.host.request('thumbnail', query, { signal: abort.signal }).then(
        picture => card.show(picture),
        (error: unknown) => {
          const problem = problemOf(error);
          if (problem.kind === 'cancelled') return;
          card.fail(problem.message);
          this.#tell(problem.message, problem.kind === 'images');
        },
      );
    }
  }

  #tell(message: string, isAboutImages: boolean): void {
    // One image that is missing is told once; the others say so in their place.
    if (!this.#notice.hidden) return;
    this.#notice.hidden = false;
    this.#notice.replaceChildren(icon('info'), element('p', { text: message }));
    if (isAboutImages) {
      this.#notice.append(createButton({ label: 'Locate Images…', onClick: () => void this.#locate() }));
    }
  }

  async #locate(): Promise<void> {
    const folder = await this.#options.host.request('browseImages', null).catch(() => null);
    if (folder === null) return;
    this.#options.remember({ imageFolder: folder });
    // The host hears of the folder with the next state: ask after it.
    setTimeout(() => this.reload(), 400);
  }
}

function titleOf({ side, truth, named, reading }: Selection, comparison: Comparison): string {
  const classes = comparison.report(side)?.classes ?? [];
  const name = (place: number): string => classes[place]?.name ?? `class ${place}`;
  const when = comparison.before === null ? '' : `, ${side}`;
  const how = ` · ${readingNames[reading].toLowerCase()}${when}`;
  if (truth !== null && named !== null)
    return `${name(truth)} ${truth === named ? 'named rightly' : `named ${name(named)}`}${how}`;
  if (truth !== null) return `${name(truth)}${how}`;
  return `${named === null ? 'All classes' : `Named ${name(named)}`}${how}`;
}
