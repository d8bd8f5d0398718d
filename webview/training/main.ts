import type { RunSummary } from '../../trainer/protocol.ts';
import { createProgressRing, registerControls } from '../controls.ts';
import { element, setText } from '../dom.ts';
import { DrawSchedule } from '../drawSchedule.ts';
import { NumbersCard } from '../numbersCard.ts';
import { listenToPanel } from '../panelEvents.ts';
import { readPalette } from '../theme.ts';
import { acquireApi } from '../vscodeApi.ts';
import { Charts } from './charts.ts';
import { ConfigurationView } from './configurationView.ts';
import { EventList } from './eventList.ts';
import { Figures } from './figures.ts';
import { Header } from './header.ts';
import { RunHistory, twelveNumbers } from './history.ts';
import { restoreState } from './panelState.ts';
import { Patches } from './patches.ts';
import type { MessageFromPanel, MessageToPanel, TrainingPanelState } from './protocol.ts';
import { isLive } from './runStates.ts';
import { StepTable } from './stepTable.ts';
import './training.css';

/** Drawing waits at least this long between two times, in milliseconds: a fast trainer must not keep a core busy here. */
const DRAW_INTERVAL = 200;

/** The training panel: keeps what the host says, and draws it. */
class TrainingPanel {
  readonly #api = acquireApi<MessageFromPanel, TrainingPanelState>();
  readonly #history = new RunHistory();
  readonly #header = new Header(command => this.#post({ kind: 'command', command }));
  readonly #figures = new Figures();
  readonly #numbers = new NumbersCard();
  readonly #charts: Charts;
  readonly #patches: Patches;
  readonly #configuration: ConfigurationView;
  readonly #events = new EventList();
  readonly #table: StepTable;
  readonly #waiting = element('div', { class: 'waiting', attributes: { role: 'status' } });
  readonly #waitingText = element('p');
  readonly #progressRing = createProgressRing();
  readonly #measured: HTMLElement;
  readonly #content: HTMLElement;
  readonly #drawing = new DrawSchedule(() => this.#draw(), DRAW_INTERVAL);
  #state: TrainingPanelState;
  #summary: RunSummary | null = null;
  #canTrain = false;

  constructor(root: HTMLElement) {
    this.#state = restoreState(this.#api.getState(), document.body.dataset.runDirectory ?? '');
    this.#api.setState(this.#state);
    const palette = readPalette();
    this.#patches = new Patches(palette);
    this.#charts = new Charts(
      {
        afterEvaluation: this.#patches.root,
        smoothing: this.#state.smoothing,
        logScale: this.#state.logScale,
        onSmoothing: smoothing => this.#remember({ smoothing }),
        onLogScale: logScale => this.#remember({ logScale }),
      },
      palette,
    );
    this.#table = new StepTable(this.#state.showTable, showTable => this.#remember({ showTable }));
    this.#configuration = new ConfigurationView({
      open: this.#state.showConfiguration,
      onToggle: showConfiguration => this.#remember({ showConfiguration }),
    });
    this.#waiting.append(this.#progressRing, this.#waitingText);
    this.#measured = element(
      'div',
      { class: 'measured' },
      this.#figures.root,
      this.#numbers.root,
      this.#charts.root,
      this.#table.root,
    );
    this.#content = element(
      'div',
      { class: 'panel-content' },
      this.#waiting,
      this.#measured,
      this.#events.root,
      this.#configuration.root,
    );
    this.#header.root.hidden = true;
    this.#content.hidden = true;
    root.append(this.#header.root, this.#content);
  }

  start(): void {
    listenToPanel<MessageToPanel>({
      received: message => {
        this.#receive(message);
        this.#drawing.request();
      },
      recoloured: () => this.#recolour(),
      failed: message => this.#post({ kind: 'panelError', message }),
    });
    this.#post({ kind: 'ready' });
  }

  #receive(message: MessageToPanel): void {
    switch (message.kind) {
      case 'initial':
        this.#summary = message.summary;
        this.#canTrain = message.canTrain;
        this.#history.replace(message);
        this.#configuration.update(message.configuration);
        this.#patches.update(message.preview);
        break;
      case 'summary':
        this.#summary = message.summary;
        break;
      case 'configuration':
        this.#configuration.update(message.configuration);
        break;
      case 'records':
        this.#history.append(message);
        break;
      case 'preview':
        this.#patches.update(message.preview);
        break;
      case 'trust':
        this.#canTrain = message.canTrain;
        break;
      case 'commandDone':
        this.#header.commandDone(message.command, message.problem);
        break;
    }
  }

  #draw(): void {
    const summary = this.#summary;
    if (summary === null) return;
    this.#header.root.hidden = false;
    this.#content.hidden = false;
    this.#header.update(summary, this.#canTrain, this.#history.elapsedSeconds());
    const evaluations = this.#history.evaluationSummaries();
    const empty = this.#history.steps.length === 0 && evaluations.length === 0;
    this.#waiting.hidden = !empty;
    this.#measured.hidden = empty;
    this.#events.update(this.#history.events);
    if (empty) {
      const live = isLive(summary.state);
      this.#progressRing.hidden = !live;
      setText(
        this.#waitingText,
        live ? 'Waiting for the first step…' : 'No step of this run has been recorded.',
      );
      return;
    }
    this.#figures.update(this.#history, evaluations);
    const numbers = twelveNumbers(evaluations);
    this.#numbers.root.hidden = numbers === null;
    if (numbers !== null) this.#numbers.update(numbers.before, numbers.after);
    this.#charts.update(this.#history.steps, evaluations);
    this.#table.update(this.#history);
  }

  #recolour(): void {
    const palette = readPalette();
    this.#charts.setPalette(palette);
    this.#patches.setPalette(palette);
  }

  #remember(change: Partial<TrainingPanelState>): void {
    this.#state = { ...this.#state, ...change };
    this.#api.setState(this.#state);
  }

  #post(message: MessageFromPanel): void {
    this.#api.postMessage(message);
  }
}

registerControls();
new TrainingPanel(document.querySelector<HTMLElement>('#training') ?? document.body).start();
