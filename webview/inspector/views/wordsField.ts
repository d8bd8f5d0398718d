import { parseWords } from '../../../trainer/dense/words.ts';
import { element } from '../../dom.ts';
import { MAXIMUM_WORDS } from '../protocol/state.ts';
import type { WordStore } from '../wordStore.ts';

/** A word is read when nothing was typed for this long, in milliseconds. */
const TYPING_PAUSE = 500;

/** Where words are typed; every view that uses them has one, and all show the same list. */
export class WordsField {
  readonly root: HTMLElement;
  readonly #store: WordStore;
  readonly #area = element('textarea', {
    class: 'words-area',
    attributes: { rows: '1', spellcheck: 'false', placeholder: 'sky, grass, a red car …' },
  });
  #timer: ReturnType<typeof setTimeout> | null = null;
  #shown: readonly string[] | null = null;

  constructor(store: WordStore) {
    this.#store = store;
    this.root = element(
      'label',
      { class: 'words-field', title: 'Separated by commas or line breaks' },
      element('span', { text: 'Words' }),
      this.#area,
    );
    this.#area.addEventListener('input', () => {
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#take(), TYPING_PAUSE);
    });
    this.#area.addEventListener('change', () => this.#take());
  }

  /** Shows the list of now, unless it is what was just typed here. */
  refresh(): void {
    const { list } = this.#store.settings;
    if (list === this.#shown) return;
    this.#shown = list;
    if (parseWords(this.#area.value).join('\n') !== list.join('\n')) this.#area.value = list.join(', ');
  }

  #take(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const list = parseWords(this.#area.value).slice(0, MAXIMUM_WORDS);
    if (list.join('\n') !== this.#store.settings.list.join('\n')) this.#store.change({ list });
  }
}
