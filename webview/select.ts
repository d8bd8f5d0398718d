import { element } from './dom.ts';
import type { SelectOption } from './selectOption.ts';

export interface SelectOptions {
  label: string;
  options: readonly SelectOption[];
  value: string;
  /** The label is only spoken. */
  hideLabel?: boolean;
  onChange: (value: string) => void;
}

/** A labelled list to choose one of. It is the browser's own: a long list of models opens beyond a small panel. */
export class Select {
  readonly root: HTMLElement;
  readonly #select = element('select', { class: 'select' });
  #listed = '';

  constructor(options: SelectOptions) {
    const label = element('span', {
      text: options.label,
      class: options.hideLabel ? 'screen-reader' : 'select-label',
    });
    this.root = element('label', { class: 'select-field' }, label, this.#select);
    this.setOptions(options.options);
    this.#select.value = options.value;
    this.#select.addEventListener('change', () => options.onChange(this.#select.value));
  }

  get value(): string {
    return this.#select.value;
  }

  set value(value: string) {
    if (this.#select.value !== value) this.#select.value = value;
  }

  set disabled(disabled: boolean) {
    this.#select.disabled = disabled;
  }

  /** Replaces the options when they differ; keeps the chosen one where it is still there. */
  setOptions(options: readonly SelectOption[]): void {
    const listed = JSON.stringify(options);
    if (listed === this.#listed) return;
    this.#listed = listed;
    const { value } = this.#select;
    const groups = new Map<string, HTMLElement>();
    const nodes: HTMLElement[] = [];
    for (const { value: own, label, group } of options) {
      const option = element('option', { text: label, attributes: { value: own } });
      if (group === undefined) {
        nodes.push(option);
        continue;
      }
      let parent = groups.get(group);
      if (parent === undefined) {
        parent = element('optgroup', { attributes: { label: group } });
        groups.set(group, parent);
        nodes.push(parent);
      }
      parent.append(option);
    }
    this.#select.replaceChildren(...nodes);
    if (options.some(option => option.value === value)) this.#select.value = value;
  }
}

export function createSelect(options: SelectOptions): Select {
  return new Select(options);
}
