import type { PretrainConfiguration, RunConfiguration } from '../../trainer/protocol.ts';
import { createButton } from '../controls.ts';
import { element } from '../dom.ts';
import { configurationSections } from './configurationRows.ts';

export interface ConfigurationViewOptions {
  open: boolean;
  onToggle: (open: boolean) => void;
}

/** How long the copy button says that it has copied, in milliseconds. */
const CONFIRMATION_TIME = 2000;

/** Everything in `config.json`, folded away until asked for, with a button that copies it. */
export class ConfigurationView {
  readonly root: HTMLDetailsElement;
  readonly #sections = element('div', { class: 'configuration' });
  readonly #copied = element('span', { class: 'copied', attributes: { role: 'status' } });
  #configuration: RunConfiguration | PretrainConfiguration | null = null;

  constructor(options: ConfigurationViewOptions) {
    const copy = createButton({ label: 'Copy as JSON', icon: 'copy', onClick: () => void this.#copy() });
    this.root = element(
      'details',
      { class: 'card' },
      element('summary', {}, element('h2', { text: 'Configuration' })),
      this.#sections,
      element('div', { class: 'card-actions' }, copy, this.#copied),
    );
    this.root.open = options.open;
    this.root.addEventListener('toggle', () => options.onToggle(this.root.open));
    this.root.hidden = true;
  }

  update(configuration: RunConfiguration | PretrainConfiguration | null): void {
    this.#configuration = configuration;
    this.root.hidden = configuration === null;
    if (configuration === null) return;
    this.#sections.replaceChildren(
      ...configurationSections(configuration).map(({ title, rows }) => {
        const body = element('tbody');
        for (const { key, label, value } of rows) {
          body.append(
            element(
              'tr',
              {},
              element('th', { text: label, title: key, attributes: { scope: 'row' } }),
              element('td', { text: value }),
            ),
          );
        }
        return element('table', {}, element('caption', { text: title }), body);
      }),
    );
  }

  async #copy(): Promise<void> {
    let outcome = 'Copied';
    try {
      await navigator.clipboard.writeText(JSON.stringify(this.#configuration, null, 2));
    } catch {
      outcome = 'The clipboard cannot be written to; config.json of the run holds the same';
    }
    this.#copied.textContent = outcome;
    setTimeout(() => {
      this.#copied.textContent = '';
    }, CONFIRMATION_TIME);
  }
}
