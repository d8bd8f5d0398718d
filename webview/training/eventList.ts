import type { EventRecord } from '../../trainer/protocol.ts';
import { element } from '../dom.ts';
import { formatCount, formatTime } from '../format.ts';
import { type IconName, icon } from '../icons.ts';

type EventKind = EventRecord['event']['kind'];

const presentation: Record<EventKind, { icon: IconName; label: string }> = {
  started: { icon: 'resume', label: 'Started' },
  resumed: { icon: 'resume', label: 'Resumed' },
  stopped: { icon: 'stop', label: 'Stopped' },
  finished: { icon: 'pass', label: 'Finished' },
  failed: { icon: 'error', label: 'Failed' },
  warning: { icon: 'warning', label: 'Warning' },
};

/** At most this many events are listed, the latest. */
const LISTED_EVENTS = 100;

/** What happened to the run, the latest first. */
export class EventList {
  readonly root: HTMLElement;
  readonly #list = element('ol', { class: 'events' });
  readonly #empty = element('p', { class: 'empty', text: 'Nothing has happened yet.' });
  #shown = '';

  constructor() {
    this.root = element(
      'section',
      { class: 'card' },
      element('h2', { text: 'Events' }),
      this.#empty,
      this.#list,
    );
  }

  update(events: readonly EventRecord[]): void {
    const last = events[events.length - 1];
    const key = last === undefined ? '' : `${events.length} ${JSON.stringify(last)}`;
    if (key === this.#shown) return;
    this.#shown = key;
    this.#empty.hidden = events.length > 0;
    this.#list.hidden = events.length === 0;
    const omitted = events.length - LISTED_EVENTS;
    this.#list.replaceChildren(...events.slice(-LISTED_EVENTS).reverse().map(eventItem));
    if (omitted > 0) {
      this.#list.append(
        element('li', {
          class: 'empty',
          text: `${formatCount(omitted)} earlier events are in metrics.jsonl.`,
        }),
      );
    }
  }
}

function eventItem({ event }: EventRecord): HTMLElement {
  const known = presentation[event.kind] ?? { icon: 'info', label: event.kind };
  return element(
    'li',
    { class: `event event-${event.kind}` },
    icon(known.icon),
    element('span', { class: 'event-kind', text: known.label }),
    element('span', { class: 'event-step', text: `step ${formatCount(event.step)}` }),
    element('time', { class: 'event-time', text: formatTime(event.time) }),
    ...(event.message ? [element('p', { class: 'event-message', text: event.message })] : []),
  );
}
