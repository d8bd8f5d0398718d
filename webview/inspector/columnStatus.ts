import { createButton } from '../controls.ts';
import { element, setAttribute, setText } from '../dom.ts';
import { icon } from '../icons.ts';
import type { InspectorProblem } from './protocol/requests.ts';

/** What stands between a column and its picture. */
export type Status =
  | { kind: 'ready' }
  | { kind: 'noModel' }
  | { kind: 'untrusted' }
  | { kind: 'loading'; stage: string; fraction: number | null }
  | { kind: 'problem'; problem: InspectorProblem; otherSize: number | null };

export interface StatusActions {
  useDemoModel: () => void;
  browse: () => void;
  getModel: () => void;
  cancel: () => void;
  retry: () => void;
  useSize: (size: number) => void;
}

/** A small card over the image: progress with cancel, no model yet, or what went wrong and the way out. */
export class ColumnStatus {
  readonly root = element('div', { class: 'status', attributes: { role: 'status' } });
  readonly #actions: StatusActions;
  readonly #text = element('p');
  readonly #bar = element('div', { class: 'status-bar' });
  readonly #track = element(
    'div',
    { class: 'status-track', attributes: { role: 'progressbar', 'aria-label': 'Progress' } },
    this.#bar,
  );
  #shown = '';

  constructor(actions: StatusActions) {
    this.#actions = actions;
    this.root.hidden = true;
  }

  show(status: Status): void {
    this.root.hidden = status.kind === 'ready';
    if (status.kind === 'loading') this.#showLoading(status.stage, status.fraction);
    const shown = status.kind === 'loading' ? 'loading' : JSON.stringify(status);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.root.dataset.status = status.kind;
    this.root.replaceChildren(...this.#nodes(status));
  }

  #showLoading(stage: string, fraction: number | null): void {
    const text = stage === '' ? 'Working' : stage.charAt(0).toUpperCase() + stage.slice(1);
    setText(this.#text, `${text}…`);
    // A bar without an animation: a spinner alone takes a core where nothing but the processor draws.
    this.#bar.style.width = `${(fraction ?? 0) * 100}%`;
    setAttribute(this.#track, 'aria-valuenow', String(Math.round((fraction ?? 0) * 100)));
  }

  #nodes(status: Status): Node[] {
    const { useDemoModel, browse, getModel, cancel, retry, useSize } = this.#actions;
    const actions = (...buttons: Node[]): HTMLElement =>
      element('div', { class: 'status-actions' }, ...buttons);
    switch (status.kind) {
      case 'ready':
        return [];
      case 'loading':
        return [this.#text, this.#track, actions(createButton({ label: 'Cancel', onClick: cancel }))];
      case 'noModel':
        return [
          element('p', { text: 'Choose a model to see what every patch of this image knows.' }),
          actions(
            createButton({ label: 'Use the demo model', appearance: 'primary', onClick: useDemoModel }),
            createButton({ label: 'Get a model…', onClick: getModel }),
            createButton({ label: 'Browse…', onClick: browse }),
          ),
        ];
      case 'untrusted':
        return [
          icon('info'),
          element('p', {
            text: 'This workspace is not trusted: images are shown, but no model is opened. Trust the workspace to compute features.',
          }),
        ];
      case 'problem':
        return this.#problemNodes(status.problem, status.otherSize, retry, useSize, browse, actions);
    }
  }

  #problemNodes(
    { kind, message }: InspectorProblem,
    otherSize: number | null,
    retry: () => void,
    useSize: (size: number) => void,
    browse: () => void,
    actions: (...buttons: Node[]) => HTMLElement,
  ): Node[] {
    const cancelled = kind === 'cancelled';
    const buttons: Node[] = [];
    if ((kind === 'memory' || kind === 'size') && otherSize !== null)
      buttons.push(
        createButton({
          label: `Use ${otherSize} px`,
          appearance: 'primary',
          onClick: () => useSize(otherSize),
        }),
      );
    if (kind === 'model') buttons.push(createButton({ label: 'Browse…', onClick: browse }));
    buttons.push(createButton({ label: cancelled ? 'Compute' : 'Try again', onClick: retry }));
    return [
      icon(cancelled ? 'info' : 'error'),
      element('p', { text: message, attributes: cancelled ? {} : { role: 'alert' } }),
      actions(...buttons),
    ];
  }
}
