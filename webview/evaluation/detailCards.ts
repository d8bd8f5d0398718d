/** The smaller cards of the overview: accuracy by size, retention, what was evaluated. */

import {
  type Accuracy,
  type RegionReading,
  type RegionSize,
  regionReadings,
  regionSizes,
} from '../../trainer/evaluate/protocol.ts';
import { change, percent, readingNames } from '../accuracy.ts';
import { changeElement } from '../changeElement.ts';
import { createTable, element } from '../dom.ts';
import { formatCount, formatDuration, formatSignificant, formatTime } from '../format.ts';
import type { Comparison } from './comparison.ts';
import type { ShownReport } from './protocol.ts';

const sizeNames: Readonly<Record<RegionSize | 'overall', string>> = {
  overall: 'All regions',
  small: 'Small, below 32²',
  medium: 'Medium, below 96²',
  large: 'Large',
};

function card(title: string, note: string, ...content: Node[]): HTMLElement {
  const heading = element('header', {}, element('h2', { text: title }));
  if (note !== '') heading.append(element('span', { class: 'card-note', text: note }));
  return element('section', { class: 'card' }, heading, ...content);
}

const scrolled = (table: HTMLElement): HTMLElement => element('div', { class: 'table-scroller' }, table);

function accuracyOf(
  report: ShownReport | null,
  reading: RegionReading,
  size: RegionSize | 'overall',
): Accuracy | undefined {
  const found = report?.readings[reading];
  return size === 'overall' ? found?.overall : found?.bySize[size];
}

/** Top-1 accuracy over regions, by their size. */
export function sizesCard({ before, after }: Comparison, top: 1 | 5): HTMLElement {
  const readings = regionReadings.filter(reading => after.readings[reading] !== undefined);
  const { table, body } = createTable(`Accuracy by region size, top-${top}`, [
    'Region size',
    'Regions',
    ...readings.map(reading => readingNames[reading]),
  ]);
  table.classList.add('figures-table');
  for (const size of ['overall', ...regionSizes] as const) {
    const regions = readings.length === 0 ? 0 : (accuracyOf(after, readings[0]!, size)?.regions ?? 0);
    const cells = readings.map(reading => {
      const pick = (accuracy: Accuracy | undefined) => (top === 1 ? accuracy?.top1 : accuracy?.top5);
      const [was, is] = [pick(accuracyOf(before, reading, size)), pick(accuracyOf(after, reading, size))];
      const cell = element('td', { class: 'with-bar' }, barOf(is), element('span', { text: percent(is) }));
      const difference = change(was, is);
      if (difference !== null) cell.append(' ', changeElement(difference));
      return cell;
    });
    body.append(
      element(
        'tr',
        { class: size === 'overall' ? 'total' : '' },
        element('th', { text: sizeNames[size], attributes: { scope: 'row' } }),
        element('td', { text: formatCount(regions) }),
        ...cells,
      ),
    );
  }
  return card('By region size', `accuracy over regions, top-${top}, percent`, scrolled(table));
}

/** A bar as wide as a fraction of 1. */
function barOf(fraction: number | null | undefined): HTMLElement {
  const bar = element('span', { class: 'bar', attributes: { 'aria-hidden': 'true' } });
  bar.style.setProperty('--share', String(Math.min(Math.max(fraction ?? 0, 0), 1)));
  return bar;
}

/** Whole-image accuracy of the student against the frozen original. */
export function retentionCard({ after }: Comparison): HTMLElement | null {
  const { retention } = after;
  if (retention === null) return null;
  const { student, teacher, images } = retention;
  const { table, body } = createTable('Whole-image accuracy', ['Model', 'Top-1', 'Top-5']);
  table.classList.add('figures-table');
  const row = (name: string, cells: Node[]): HTMLElement =>
    element('tr', {}, element('th', { text: name, attributes: { scope: 'row' } }), ...cells);
  const cell = (is: number, was?: number): HTMLElement => {
    const made = element('td', { text: percent(is) });
    if (was !== undefined) made.append(' ', changeElement(is - was));
    return made;
  };
  if (teacher !== null) body.append(row('Teacher (original)', [cell(teacher.top1), cell(teacher.top5)]));
  body.append(row('Student', [cell(student.top1, teacher?.top1), cell(student.top5, teacher?.top5)]));
  return card('Image-level retention', `${formatCount(images)} images, zero-shot, percent`, scrolled(table));
}

/** Where the numbers come from. */
export function sourceCard({ before, after }: Comparison): HTMLElement {
  const list = element('dl', { class: 'source-facts' });
  const fact = (name: string, value: string, title = ''): void => {
    list.append(element('dt', { text: name }), element('dd', { text: value, title }));
  };
  const path = (name: string, file: string, title = file): void => {
    list.append(
      element('dt', { text: name }),
      element('dd', { class: 'path', title }, element('bdi', { text: file })),
    );
  };
  const { counts, data, time, words } = after;
  fact('Model', after.model.name, `${after.model.path}\nSHA-256 ${after.model.sha256}`);
  if (before !== null)
    fact('Before', before.model.name, `${before.model.path}\nSHA-256 ${before.model.sha256}`);
  fact(
    'Regions',
    `${formatCount(counts.regions)} in ${formatCount(counts.images)} ${counts.images === 1 ? 'image' : 'images'}`,
  );
  const skipped = Object.entries(counts.skipped).filter(([, count]) => count > 0);
  const total = skipped.reduce((sum, [, count]) => sum + count, 0);
  const reasons = skipped.map(([reason, count]) => `${reason}: ${formatCount(count)}`).join('; ');
  fact('Skipped', skipped.length > 1 ? `${formatCount(total)} (${reasons})` : reasons || 'none');
  fact('Classes', `${formatCount(after.classes.length)}, words: ${words.source}`, `SHA-256 ${words.sha256}`);
  fact('Input', `${formatCount(after.size)} px`);
  path('Annotations', data.annotations, `${data.annotations}\nSHA-256 ${data.sha256}`);
  path('Images', data.images);
  const forward =
    time.seconds > 0 ? `, ${Math.round((100 * time.forwardSeconds) / time.seconds)} % in forward passes` : '';
  fact(
    'Time',
    `${formatDuration(time.seconds)}, ${formatSignificant(time.imagesPerSecond)} images/s${forward}`,
  );
  fact(
    'Evaluated',
    formatTime(Date.parse(after.created)),
    `CLIPSelf ${after.versions.clipself}, ${after.versions.engine}`,
  );
  return card('Evaluated', '', list);
}
