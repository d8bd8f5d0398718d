import type { TwelveNumberName } from '../../trainer/evaluate/protocol.ts';

/** The twelve numbers of an evaluation, fractions of 1; null where there is no region of the kind. */
export type Numbers = Partial<Record<TwelveNumberName, number | null>>;

/** One data set, evaluated with the model as it came and after fine-tuning. */
export interface Comparison {
  before: Numbers;
  after: Numbers;
}

export interface Claim {
  /** What is claimed, with its bound. */
  text: string;
  /** What was measured, in the same words. */
  measured: string;
  holds: boolean;
}

/** Bounds of the claims: points of accuracy, a share of the gap, and a factor. */
const bounds = { thingsRise: 0.4, gapClosed: 0.6, stuffRise: 0.45, heldOutFactor: 8 } as const;

const number = (numbers: Numbers, name: TwelveNumberName): number => numbers[name] ?? Number.NaN;
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const points = (share: number): string => `${(100 * share).toFixed(1)} points`;

/**
 * What CLIPSelf is to do for the dense features of a CLIP (the paper's table 1): things named by boxes come close to
 * things named by crops, stuff named by masks rises, and both on drawings of a style that no training saw.
 */
export function judge(seen: Comparison, heldOut: Comparison): Claim[] {
  const rise = (numbers: Comparison, name: TwelveNumberName): number =>
    number(numbers.after, name) - number(numbers.before, name);
  const things = rise(seen, 'rois.thing.macc1');
  const gap = number(seen.before, 'crops.thing.macc1') - number(seen.before, 'rois.thing.macc1');
  const stuff = rise(seen, 'maskpool.stuff.macc1');
  const [was, is] = [number(heldOut.before, 'rois.thing.macc1'), number(heldOut.after, 'rois.thing.macc1')];
  return [
    {
      text: `things by dense features over boxes rise by at least ${points(bounds.thingsRise)}`,
      measured: points(things),
      holds: things >= bounds.thingsRise,
    },
    {
      text: `at least ${percent(bounds.gapClosed)} of the gap to crops is closed`,
      measured: percent(things / gap),
      holds: things / gap >= bounds.gapClosed,
    },
    {
      text: `stuff by dense features over masks rises by at least ${points(bounds.stuffRise)}`,
      measured: points(stuff),
      holds: stuff >= bounds.stuffRise,
    },
    {
      text: `things in the style that no training saw are at least ${bounds.heldOutFactor} times as accurate`,
      measured: `${percent(was)} → ${percent(is)}`,
      holds: is > 0 && is >= bounds.heldOutFactor * was,
    },
  ];
}
