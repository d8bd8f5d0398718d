import { element, setText } from './dom.ts';

/** How long what was done is shown, in milliseconds. */
const NOTICE_TIME = 8000;

/** A line over the panel that says what was done or is being done, and goes away by itself. */
export class Toast {
  readonly root = element('div', { class: 'toast', attributes: { role: 'status' } });
  readonly #text = element('span');
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** @param controls What stands behind the text. */
  constructor(...controls: HTMLElement[]) {
    this.root.append(this.#text, ...controls);
    this.root.hidden = true;
  }

  /** Shows a text for a while; empty for none. */
  say(text: string): void {
    setText(this.#text, text);
    this.root.hidden = text === '';
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.hide(), NOTICE_TIME);
  }

  hide(): void {
    this.root.hidden = true;
  }
}
