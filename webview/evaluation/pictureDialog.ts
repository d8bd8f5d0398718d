import { type EvaluatedClass, regionReadings } from '../../trainer/evaluate/protocol.ts';
import { readingNames } from '../accuracy.ts';
import { createButton } from '../controls.ts';
import { element } from '../dom.ts';
import { formatCount } from '../format.ts';
import { type EvaluationHost, problemOf } from './host.ts';
import type { ShownRegion, Side } from './protocol.ts';
import { markedPicture, rankingList } from './regionCard.ts';

/** The whole image with the region marked, and how every reading names it. */
export class PictureDialog {
  readonly root = element('dialog', { class: 'picture-dialog' });
  readonly #host: EvaluationHost;

  constructor(host: EvaluationHost) {
    this.#host = host;
    // A click beside the content closes, as Escape does.
    this.root.addEventListener('click', event => {
      if (event.target === this.root) this.root.close();
    });
  }

  async show(
    region: ShownRegion,
    side: Side,
    classes: readonly EvaluatedClass[],
    say: (text: string) => void,
  ): Promise<void> {
    const truth = classes[region.class]?.name ?? `class ${region.class}`;
    const [x0, y0, x1, y1] = region.box.map(Math.round);
    const query = { side, place: region.place };
    const ask = (method: 'openRegion' | 'openImage') => () => {
      this.#host.request(method, query).catch((error: unknown) => say(problemOf(error).message));
    };
    const picture = element('div', { class: 'picture-place', text: 'Reading the image…' });
    this.root.setAttribute('aria-label', `${truth} in ${region.image}`);
    this.root.replaceChildren(
      element(
        'div',
        { class: 'picture-content' },
        element(
          'header',
          {},
          element('h2', { text: truth }),
          element('span', {
            class: 'card-note',
            text: `${region.image} · ${x0}, ${y0} – ${x1}, ${y1} · ${formatCount(region.area)} pixels`,
          }),
          createButton({
            label: 'Close',
            icon: 'close',
            appearance: 'icon',
            onClick: () => this.root.close(),
          }),
        ),
        picture,
        element(
          'div',
          { class: 'picture-rankings' },
          ...regionReadings
            .filter(reading => region.readings[reading] !== undefined)
            .map(reading =>
              element(
                'section',
                {},
                element('h3', { text: readingNames[reading] }),
                rankingList(region, reading, classes),
              ),
            ),
        ),
        element(
          'div',
          { class: 'card-actions' },
          createButton({ label: 'Inspect Dense Features', onClick: ask('openRegion') }),
          createButton({ label: 'Open Image', onClick: ask('openImage') }),
        ),
      ),
    );
    if (!this.root.open) this.root.showModal();
    try {
      picture.replaceChildren(
        markedPicture(await this.#host.request('picture', query), `${truth} in ${region.image}`),
      );
    } catch (error) {
      picture.textContent = problemOf(error).message;
    }
  }
}
