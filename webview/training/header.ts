import type { RunSummary } from '../../trainer/protocol.ts';
import { type ButtonControl, createButton } from '../controls.ts';
import { element, setAttribute, setText } from '../dom.ts';
import { formatCount, formatDuration, UNKNOWN } from '../format.ts';
import { type IconName, icon } from '../icons.ts';
import type { PanelCommand } from './protocol.ts';
import { isLive, isPossible, noticeOf, progressOf, stateLabels } from './runStates.ts';

const commands: { command: PanelCommand; label: string; icon: IconName }[] = [
  { command: 'stop', label: 'Stop', icon: 'stop' },
  { command: 'resume', label: 'Resume', icon: 'resume' },
  { command: 'compare', label: 'Add to Comparison', icon: 'add' },
  { command: 'openLog', label: 'Open Log', icon: 'log' },
  { command: 'reveal', label: 'Reveal', icon: 'folder' },
];

const factNames = ['Step', 'Epoch', 'Elapsed', 'Remaining', 'Host'] as const;

/** Name, state and progress of the run, the buttons, and the notice of a run that needs attention. */
export class Header {
  readonly root: HTMLElement;
  readonly #name = element('h1');
  readonly #state = element('span', { class: 'state' });
  readonly #bar = element('div', { class: 'progress-bar' });
  readonly #progress: HTMLElement;
  readonly #facts = new Map(factNames.map(name => [name, element('dd')]));
  readonly #buttons = new Map<PanelCommand, ButtonControl>();
  readonly #notices = element('div', { class: 'notices' });
  readonly #status = element('div', { class: 'screen-reader', attributes: { role: 'status' } });
  readonly #pending = new Set<PanelCommand>();
  readonly #post: (command: PanelCommand) => void;
  #summary: RunSummary | null = null;
  #canTrain = false;
  #problem: string | null = null;

  constructor(post: (command: PanelCommand) => void) {
    this.#post = post;
    const toolbar = element('div', {
      class: 'toolbar',
      attributes: { role: 'toolbar', 'aria-label': 'Run' },
    });
    for (const { command, label, icon: iconName } of commands) {
      const button = createButton({ label, icon: iconName, onClick: () => this.#press(command) });
      button.dataset.command = command;
      this.#buttons.set(command, button);
      toolbar.append(button);
    }
    this.#progress = element(
      'div',
      {
        class: 'progress',
        attributes: {
          role: 'progressbar',
          'aria-label': 'Steps done',
          'aria-valuemin': '0',
          'aria-valuemax': '100',
        },
      },
      this.#bar,
    );
    const facts = element('dl', { class: 'facts' });
    for (const [name, value] of this.#facts)
      facts.append(element('div', {}, element('dt', { text: name }), value));
    this.root = element(
      'header',
      { class: 'run-header' },
      element(
        'div',
        { class: 'title-line' },
        element('div', { class: 'title' }, this.#name, this.#state),
        toolbar,
      ),
      this.#progress,
      facts,
      this.#notices,
      this.#status,
    );
  }

  update(summary: RunSummary, canTrain: boolean, elapsedSeconds: number): void {
    if (this.#summary?.state !== summary.state) {
      this.#pending.clear();
      if (this.#summary !== null) setText(this.#status, `${summary.name}: ${stateLabels[summary.state]}`);
    }
    this.#summary = summary;
    this.#canTrain = canTrain;
    setText(this.#name, summary.name);
    this.#name.title = summary.directory;
    setText(this.#state, stateLabels[summary.state]);
    setAttribute(this.#state, 'data-state', summary.state);
    this.#showProgress(summary);
    this.#showFacts(summary, elapsedSeconds);
    this.#showButtons();
    this.#showNotices();
  }

  /** The host has carried a command out, or says why not. */
  commandDone(command: PanelCommand, problem: string | null): void {
    // A stop that was accepted takes effect after the step in progress: its button waits for the new state.
    if (!(command === 'stop' && problem === null)) this.#pending.delete(command);
    this.#problem = problem;
    this.#showButtons();
    this.#showNotices();
  }

  #press(command: PanelCommand): void {
    this.#problem = null;
    if (command === 'stop' || command === 'resume') this.#pending.add(command);
    this.#showButtons();
    this.#showNotices();
    this.#post(command);
  }

  #showProgress(summary: RunSummary): void {
    const share = progressOf(summary);
    const percent = String(Math.floor(share * 100));
    this.#bar.style.width = `${share * 100}%`;
    setAttribute(this.#bar, 'data-state', summary.state);
    setAttribute(this.#progress, 'aria-valuenow', percent);
    setAttribute(
      this.#progress,
      'aria-valuetext',
      `${percent} %, step ${summary.step} of ${summary.totalSteps}`,
    );
  }

  #showFacts(summary: RunSummary, elapsedSeconds: number): void {
    const { step, totalSteps, epoch, epochs, etaSeconds, host } = summary;
    const share = totalSteps > 0 ? ` (${(progressOf(summary) * 100).toFixed(1)} %)` : '';
    this.#fact(
      'Step',
      `${formatCount(step)} / ${totalSteps > 0 ? formatCount(totalSteps) : UNKNOWN}${share}`,
    );
    this.#fact('Epoch', epochs > 0 ? `${epoch} / ${epochs}` : UNKNOWN);
    this.#fact('Elapsed', formatDuration(elapsedSeconds));
    this.#fact('Remaining', isLive(summary.state) ? formatDuration(etaSeconds) : null);
    this.#fact('Host', host);
  }

  #fact(name: (typeof factNames)[number], text: string | null): void {
    const value = this.#facts.get(name)!;
    value.parentElement!.hidden = text === null;
    setText(value, text ?? '');
  }

  #showButtons(): void {
    if (this.#summary === null) return;
    for (const [command, button] of this.#buttons) {
      const possible =
        isPossible(command, this.#summary.state, this.#canTrain) && !this.#pending.has(command);
      button.disabled = !possible;
      if (command === 'resume') button.appearance = possible ? 'primary' : 'secondary';
    }
    const stop = this.#buttons.get('stop')!;
    const label = this.#pending.has('stop') ? 'Stopping…' : 'Stop';
    stop.title = this.#pending.has('stop')
      ? 'The step in progress is finished and saved first'
      : 'Finish the step in progress, save and stop';
    const text = stop.lastChild!;
    if (text.textContent !== label) text.textContent = label;
  }

  #showNotices(): void {
    if (this.#summary === null) return;
    const notices = [noticeOf(this.#summary, this.#canTrain)];
    if (this.#problem !== null)
      notices.push({ severity: 'error', title: 'That did not work', detail: this.#problem });
    const key = JSON.stringify(notices);
    if (this.#notices.dataset.key === key) return;
    this.#notices.dataset.key = key;
    this.#notices.replaceChildren(
      ...notices
        .filter(notice => notice !== null)
        .map(({ severity, title, detail }) =>
          element(
            'div',
            {
              class: `notice notice-${severity}`,
              attributes: { role: severity === 'error' ? 'alert' : 'status' },
            },
            icon(severity),
            element('div', {}, element('strong', { text: title }), element('p', { text: detail })),
          ),
        ),
    );
  }
}
