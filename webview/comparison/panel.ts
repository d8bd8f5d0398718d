import { mostRuns, type RunComparison } from '../../trainer/compare/protocol.ts';
import { type ButtonControl, createButton, createSlider } from '../controls.ts';
import { element } from '../dom.ts';
import { DrawSchedule } from '../drawSchedule.ts';
import { listenToPanel } from '../panelEvents.ts';
import { problemOf } from '../panelHost.ts';
import { createSelect } from '../select.ts';
import { type Palette, readPalette } from '../theme.ts';
import { Toast } from '../toast.ts';
import { acquireApi } from '../vscodeApi.ts';
import { axisNames, Charts } from './charts.ts';
import { exportMenu } from './exportMenu.ts';
import { ComparisonHost } from './host.ts';
import { KMeansSection } from './kMeansSection.ts';
import { chartsPng } from './picture.ts';
import {
  type Axis,
  axes,
  type ComparisonState,
  type MessageFromComparison,
  type MessageToComparison,
} from './protocol.ts';
import { runCurve } from './runCurve.ts';
import { RunData } from './runData.ts';
import { RunList } from './runList.ts';
import { numberTableRows, RunTable, settingTableRows } from './tables.ts';

/** Drawing waits at least this long between two times, in milliseconds: runs in training send news all the time. */
const DRAW_INTERVAL = 200;

/** Parts of the panel, made once the host has said how to begin. */
interface Parts {
  list: RunList;
  charts: Charts;
  settings: RunTable;
  numbers: RunTable;
  kMeans: KMeansSection;
  add: ButtonControl;
}

/** The comparison panel: keeps what the host says, and draws it. */
export class ComparisonPanel {
  readonly #api = acquireApi<MessageFromComparison, ComparisonState>();
  readonly #host = new ComparisonHost(this.#api);
  readonly #root: HTMLElement;
  readonly #toast = new Toast();
  readonly #data = new Map<string, RunData>();
  #state: ComparisonState | null = null;
  #comparison: RunComparison | null = null;
  #students: string[] = [];
  #image: string | null = null;
  #trusted = false;
  #parts: Parts | null = null;
  #palette: Palette = readPalette();
  readonly #drawing = new DrawSchedule(() => this.#draw(), DRAW_INTERVAL);

  constructor(root: HTMLElement) {
    this.#root = root;
  }

  start(): void {
    listenToPanel<MessageToComparison>({
      received: message => this.#receive(message),
      recoloured: () => this.#recolour(),
      failed: message => this.#host.post({ kind: 'panelError', message }),
    });
    this.#host.post({ kind: 'ready', state: this.#api.getState() ?? null });
  }

  #receive(message: MessageToComparison): void {
    switch (message.kind) {
      case 'initial':
        this.#trusted = message.trusted;
        this.#data.clear();
        this.#begin(message.state);
        break;
      case 'state':
        this.#state = message.state;
        this.#api.setState(message.state);
        break;
      case 'comparison':
        this.#comparison = message.comparison;
        this.#students = message.students;
        this.#image = message.image;
        break;
      case 'curves': {
        const data = this.#data.get(message.directory) ?? new RunData();
        this.#data.set(message.directory, data);
        data.take(message);
        break;
      }
      case 'trust':
        this.#trusted = message.trusted;
        break;
      case 'progress':
        this.#host.receiveProgress(message);
        return;
      case 'response':
        this.#host.receiveResponse(message);
        return;
    }
    this.#drawing.request();
  }

  #begin(state: ComparisonState): void {
    this.#state = state;
    this.#api.setState(state);
    const remember = (change: Partial<ComparisonState>): void => this.#remember(change);
    const say = (text: string): void => this.#toast.say(text);
    const list = new RunList({
      setBase: base => remember({ base }),
      toggle: directory => this.#toggle(directory),
      remove: directory => this.#remove(directory),
      open: directory => void this.#ask(() => this.#host.request('openRun', { directory })),
    });
    const charts = new Charts(this.#palette);
    const add = createButton({ label: 'Add Run…', icon: 'add', onClick: () => void this.#add() });
    const menu = exportMenu({ host: this.#host, png: (width, height) => this.#png(width, height), say });
    this.#parts = {
      ...{ list, charts, add },
      settings: new RunTable('Settings that differ', 'and no others', 'settings-card'),
      numbers: new RunTable(
        'Region classification',
        'mean class accuracy in percent, last evaluation of each run; differences to the base in points',
        'numbers-card',
      ),
      kMeans: new KMeansSection(state, { host: this.#host, remember, say }),
    };
    const { settings, numbers, kMeans } = this.#parts;
    const header = element(
      'header',
      { class: 'comparison-header' },
      element(
        'div',
        { class: 'title-line' },
        element('h1', { text: 'Comparison of runs' }),
        this.#axisSelect(state),
        this.#smoothingSlider(state),
        add,
        menu,
      ),
      list.root,
    );
    const content = element(
      'div',
      { class: 'comparison-content' },
      charts.root,
      numbers.root,
      settings.root,
      kMeans.root,
      charts.regions,
    );
    this.#root.replaceChildren(header, content, this.#toast.root);
  }

  #axisSelect(state: ComparisonState): HTMLElement {
    return createSelect({
      label: 'Over',
      options: axes.map(axis => ({ value: axis, label: axisNames[axis] })),
      value: state.axis,
      onChange: axis => this.#remember({ axis: axis as Axis }),
    }).root;
  }

  #smoothingSlider(state: ComparisonState): HTMLElement {
    return createSlider({
      label: 'Smoothing',
      minimum: 0,
      maximum: 0.99,
      step: 0.01,
      value: state.smoothing,
      format: value => value.toFixed(2),
      onInput: smoothing => this.#remember({ smoothing }),
    });
  }

  #toggle(directory: string): void {
    const hidden = this.#state?.hidden ?? [];
    const others = hidden.filter(other => other !== directory);
    this.#remember({ hidden: others.length === hidden.length ? [...hidden, directory] : others });
  }

  #remove(directory: string): void {
    const state = this.#state;
    if (state === null || state.runs.length < 2) return;
    const runs = state.runs.filter(run => run.directory !== directory);
    const base = state.base === directory ? runs[0]!.directory : state.base;
    this.#data.delete(directory);
    this.#remember({ runs, base, hidden: state.hidden.filter(other => other !== directory) });
  }

  async #add(): Promise<void> {
    const state = this.#state;
    if (state === null) return;
    const chosen = state.runs.map(({ directory }) => directory);
    const added = await this.#ask(() => this.#host.request('pickRuns', { chosen }));
    if (!added || added.length === 0) return;
    const room = mostRuns - chosen.length;
    if (added.length > room) this.#toast.say(`Only ${room} more can be compared: ${mostRuns} in all.`);
    const runs = [...state.runs];
    for (const directory of added.slice(0, room)) {
      const look = Array.from({ length: mostRuns }, (_, at) => at).find(at =>
        runs.every(run => run.look !== at),
      );
      if (look !== undefined) runs.push({ directory, look });
    }
    this.#remember({ runs });
  }

  async #ask<Result>(question: () => Promise<Result>): Promise<Result | null> {
    try {
      return await question();
    } catch (error) {
      this.#toast.say(problemOf(error).message);
      return null;
    }
  }

  #png(width: number, height: number): Promise<ArrayBuffer> {
    const state = this.#state;
    const shown = (state?.runs ?? []).filter(({ directory }) => !state?.hidden.includes(directory));
    const legend = shown.map(({ directory, look }) => ({
      look: runCurve(look),
      name: this.#nameOf(directory),
    }));
    return chartsPng(this.#parts?.charts.cards ?? [], legend, this.#palette, width, height);
  }

  #nameOf(directory: string): string {
    return this.#comparison?.runs.find(run => run.directory === directory)?.name ?? directory;
  }

  #draw(): void {
    const state = this.#state;
    const comparison = this.#comparison;
    if (this.#parts === null || state === null || comparison === null) return;
    const { list, charts, settings, numbers, kMeans, add } = this.#parts;
    const { runs } = comparison;
    add.disabled = state.runs.length >= mostRuns;
    list.update(state, runs, this.#palette);
    charts.update(state, runs, this.#data);
    const tables = [comparison, state, this.#palette] as const;
    settings.update(...tables, settingTableRows(comparison), 'These runs have the same settings.');
    const none = 'None of these runs was evaluated on regions: set clipself.training.evaluatePanoptic.';
    numbers.update(...tables, numberTableRows(comparison), none);
    kMeans.update(state, runs, this.#students, this.#image, this.#trusted, this.#palette);
  }

  #remember(change: Partial<ComparisonState>): void {
    if (this.#state === null) return;
    this.#state = { ...this.#state, ...change };
    if (Object.keys(change).length > 0) this.#host.remember(this.#state);
    this.#drawing.request();
  }

  #recolour(): void {
    this.#palette = readPalette();
    this.#parts?.charts.setPalette(this.#palette);
    this.#drawing.request();
  }
}
