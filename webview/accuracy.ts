/** Accuracies and cosines as panels print them. Everything here is plain text in, plain text out. */

import {
  type ClassKind,
  type RegionReading,
  type TwelveNumberName,
  twelveNumberNames,
} from '../trainer/evaluate/protocol.ts';
import { UNKNOWN } from './format.ts';

/** Readings by their names in panels, and what each is. */
export const readingNames: Readonly<Record<RegionReading, string>> = {
  rois: 'Boxes',
  maskpool: 'Masks',
  crops: 'Crops',
};

export const readingNotes: Readonly<Record<RegionReading, string>> = {
  rois: 'dense features in the box',
  maskpool: 'dense features in the mask',
  crops: 'the image crop, embedded',
};

export const kindNames: Readonly<Record<ClassKind, string>> = { thing: 'Things', stuff: 'Stuff' };

export function numberName(reading: RegionReading, kind: ClassKind, top: 1 | 5): TwelveNumberName {
  return `${reading}.${kind}.macc${top}`;
}

/** Mean class accuracies, fractions of 1; those that were not measured are missing or null. */
export type TwelveNumbers = Partial<Record<TwelveNumberName, number | null>>;

export const isTwelveNumber = (name: string): name is TwelveNumberName =>
  twelveNumberNames.some(known => known === name);

/** Such as "Boxes, things, top-1". */
export function numberTitle(name: TwelveNumberName): string {
  const [reading, kind, accuracy] = name.split('.') as [RegionReading, ClassKind, string];
  return `${readingNames[reading]}, ${kindNames[kind].toLowerCase()}, top-${accuracy.slice(-1)}`;
}

type Unknown = number | null | undefined;

/** A fraction in percent without its sign, one decimal: 0.4826 → "48.3". */
export function percent(fraction: Unknown): string {
  return isKnown(fraction) ? (fraction * 100).toFixed(1) : UNKNOWN;
}

/** Signed difference of two fractions in percentage points: "+17.1", "−0.4", "0.0". */
export function percentChange(change: Unknown): string {
  if (!isKnown(change)) return UNKNOWN;
  return signed((change * 100).toFixed(1));
}

/** Cosines and margins: three decimals, signed. */
export function margin(value: Unknown): string {
  return isKnown(value) ? signed(value.toFixed(3)) : UNKNOWN;
}

/** A sign before what is printed; what rounds to zero has none. */
function signed(text: string): string {
  if (!/[1-9]/.test(text)) return text.replace('-', '');
  return text.startsWith('-') ? `−${text.slice(1)}` : `+${text}`;
}

/** After minus before; null where one of them is not known. */
export function change(before: Unknown, after: Unknown): number | null {
  return isKnown(before) && isKnown(after) ? after - before : null;
}

export type Direction = 'better' | 'worse' | 'same';

/** Which way an accuracy went, as far as it can be read in the printed change. */
export function directionOf(difference: Unknown): Direction {
  const points = isKnown(difference) ? Math.round(difference * 1000) : 0;
  return points > 0 ? 'better' : points < 0 ? 'worse' : 'same';
}

export function isKnown(value: Unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
