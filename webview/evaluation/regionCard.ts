import type { EvaluatedClass, RegionReading } from '../../trainer/evaluate/protocol.ts';
import { createButton } from '../controls.ts';
import { element } from '../dom.ts';
import type { RegionPicture, ShownRegion, Side } from './protocol.ts';

/** A picture with the region outlined. The bytes become a `blob:` image that goes with the element. */
export function markedPicture(
  { bytes, box, width, height }: RegionPicture,
  description: string,
): HTMLElement {
  const image = element('img', {
    attributes: { alt: description, width: String(width), height: String(height) },
  });
  const url = URL.createObjectURL(new Blob([bytes], { type: 'image/jpeg' }));
  image.addEventListener('load', () => URL.revokeObjectURL(url), { once: true });
  image.src = url;
  const mark = element('span', { class: 'region-mark' });
  const [x0, y0, x1, y1] = box;
  mark.style.left = `${(100 * x0) / width}%`;
  mark.style.top = `${(100 * y0) / height}%`;
  mark.style.width = `${(100 * (x1 - x0)) / width}%`;
  mark.style.height = `${(100 * (y1 - y0)) / height}%`;
  return element('span', { class: 'marked-picture' }, image, mark);
}

/** The classes that a reading ranks first, with their cosines; the true one is marked. */
export function rankingList(
  region: Pick<ShownRegion, 'class' | 'readings'>,
  reading: RegionReading,
  classes: readonly EvaluatedClass[],
): HTMLElement {
  const ranking = region.readings[reading];
  if (ranking === undefined) return element('p', { class: 'empty', text: 'not read this way' });
  const items = ranking.top.map((place, at) =>
    rankingItem(classes, place, ranking.cosines[at] ?? Number.NaN, at + 1, region.class),
  );
  if (!ranking.top.includes(region.class))
    items.push(rankingItem(classes, region.class, ranking.trueCosine, ranking.rank, region.class));
  return element('ol', { class: 'ranking' }, ...items);
}

function rankingItem(
  classes: readonly EvaluatedClass[],
  place: number,
  cosine: number,
  rank: number,
  truth: number,
): HTMLElement {
  const name = classes[place]?.name ?? `class ${place}`;
  const isTrue = place === truth;
  return element(
    'li',
    { class: isTrue ? 'true' : '', title: name },
    element('span', { class: 'rank', text: String(rank) }),
    element('span', { class: 'name', text: name }),
    ...(isTrue ? [element('span', { class: 'screen-reader', text: ' (true class) ' })] : []),
    element('span', { class: 'cosine', text: cosine.toFixed(3).replace('-', '−') }),
  );
}

export interface RegionCardOptions {
  region: ShownRegion;
  side: Side;
  reading: RegionReading;
  classes: readonly EvaluatedClass[];
  /** Opens the image in an editor. */
  open: () => void;
  /** Shows the whole image in this panel. */
  enlarge: () => void;
}

/** One region: its picture, its true class, and what it was taken for. */
export class RegionCard {
  readonly root: HTMLElement;
  readonly region: ShownRegion;
  readonly #picture: HTMLElement;

  constructor({ region, side, reading, classes, open, enlarge }: RegionCardOptions) {
    this.region = region;
    const truth = classes[region.class]?.name ?? `class ${region.class}`;
    const ranking = region.readings[reading];
    const isRight = ranking?.rank === 1;
    this.#picture = element('span', { class: 'thumbnail loading' });
    const button = element(
      'button',
      {
        class: 'region-open',
        title: `${region.image}\nOpen in the editor with the region marked`,
        attributes: { type: 'button', 'aria-label': `${truth}, ${region.image}: open in the editor` },
      },
      this.#picture,
    );
    button.addEventListener('click', open);
    this.root = element(
      'article',
      { class: 'region-card', attributes: { 'data-place': String(region.place) } },
      button,
      element(
        'header',
        {},
        element('strong', { text: truth, title: truth }),
        element('span', {
          class: 'verdict',
          text: isRight ? '✓' : `✗ ${ranking?.rank ?? ''}`,
          attributes: {
            'data-direction': isRight ? 'better' : 'worse',
            title: isRight ? 'named rightly' : `the true class comes ${ranking?.rank}.`,
          },
        }),
        createButton({ label: 'Show the whole image', icon: 'image', appearance: 'icon', onClick: enlarge }),
      ),
      rankingList(region, reading, classes),
    );
    const other = region.other?.[reading];
    if (other !== undefined) this.root.append(otherLine(other.top[0] ?? -1, other.rank, side, classes));
  }

  show(picture: RegionPicture): void {
    const { image, class: truth } = this.region;
    this.#picture.classList.remove('loading');
    this.#picture.replaceChildren(markedPicture(picture, `Region of ${image}, class ${truth}`));
  }

  fail(message: string): void {
    this.#picture.classList.remove('loading');
    this.#picture.classList.add('missing');
    this.#picture.title = message;
    this.#picture.replaceChildren('no image');
  }
}

function otherLine(named: number, rank: number, side: Side, classes: readonly EvaluatedClass[]): HTMLElement {
  const when = side === 'after' ? 'before' : 'after';
  const name = classes[named]?.name ?? `class ${named}`;
  const text = rank === 1 ? `${when}: right` : `${when}: ${name}`;
  return element('p', { class: 'other', text, title: `${when}: true class at rank ${rank}` });
}
