/** The curve of a sweep over α: accuracy against the student's share in the blend. */
import type { EvaluationReport, TwelveNumberName } from '../evaluate/protocol.ts';

export interface BlendPoint {
  /** Share α of the student. */
  alpha: number;
  /** Fractions of 1; null where there are none. */
  numbers: EvaluationReport['numbers'];
  /** Top-1 accuracy of whole images; null where they were not named. */
  wholeImages: number | null;
}

interface Line {
  label: string;
  colour: string;
  dashes: string;
  value: (point: BlendPoint) => number | null;
}

const reading =
  (name: TwelveNumberName): Line['value'] =>
  ({ numbers }) =>
    numbers[name] ?? null;

/** The paper's three columns (table 1), and whole images. */
const lines: readonly Line[] = [
  { label: 'boxes', colour: '#0072b2', dashes: '', value: reading('rois.thing.macc1') },
  { label: 'masks, things', colour: '#d55e00', dashes: '7 3', value: reading('maskpool.thing.macc1') },
  { label: 'masks, stuff', colour: '#009e73', dashes: '2 3', value: reading('maskpool.stuff.macc1') },
  { label: 'whole images', colour: '#cc79a7', dashes: '9 3 2 3', value: ({ wholeImages }) => wholeImages },
];

/** `alpha,rois.thing.macc1,…,wholeImages.top1`, a line a point. */
export function blendTable(points: readonly BlendPoint[]): string {
  const names = [...new Set(points.flatMap(({ numbers }) => Object.keys(numbers)))] as TwelveNumberName[];
  const cell = (value: number | null | undefined): string => (value ?? '') as string;
  const rows = points.map(({ alpha, numbers, wholeImages }) =>
    [alpha, ...names.map(name => cell(numbers[name])), cell(wholeImages)].join(','),
  );
  return `${[['alpha', ...names, 'wholeImages.top1'].join(','), ...rows].join('\n')}\n`;
}

const [width, height, left, top, bottom, right] = [640, 400, 56, 24, 48, 24];

/** Draws top-1 mean accuracy over α; the highest point of each line is marked. */
export function blendDrawing(points: readonly BlendPoint[]): string {
  const shown = lines.filter(({ value }) => points.some(point => value(point) !== null));
  const values = shown.flatMap(({ value }) => points.map(value)).filter(value => value !== null);
  const highest = Math.min(1, Math.ceil(Math.max(0.1, ...values) * 10) / 10);
  const x = (alpha: number): number => left + alpha * (width - left - right);
  const y = (value: number): number => height - bottom - (value / highest) * (height - top - bottom);
  const axes = Array.from({ length: 6 }, (_, index) => {
    const share = index / 5;
    const value = share * highest;
    return (
      `<line x1="${left}" x2="${width - right}" y1="${place(y(value))}" y2="${place(y(value))}" stroke="#ddd"/>` +
      `<text x="${left - 8}" y="${place(y(value) + 4)}" text-anchor="end">${Math.round(value * 100)} %</text>` +
      `<text x="${place(x(share))}" y="${height - bottom + 20}" text-anchor="middle">${share}</text>`
    );
  });
  const drawn = shown.map((line, index) => curve(line, points, x, y) + legend(line, index));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12" role="img" aria-label="Accuracy over the share of the student">
<rect width="${width}" height="${height}" fill="#fff"/>
${axes.join('\n')}
<text x="${(left + width - right) / 2}" y="${height - 10}" text-anchor="middle">α, share of the student in the blend</text>
${drawn.join('\n')}
</svg>
`;
}

const place = (pixels: number): string => pixels.toFixed(1);

function curve(
  { colour, dashes, value }: Line,
  points: readonly BlendPoint[],
  x: (alpha: number) => number,
  y: (value: number) => number,
): string {
  const known = points.flatMap(point => {
    const accuracy = value(point);
    return accuracy === null ? [] : [{ alpha: point.alpha, accuracy }];
  });
  const best = known.reduce((a, b) => (b.accuracy > a.accuracy ? b : a));
  const path = known.map(({ alpha, accuracy }) => `${place(x(alpha))},${place(y(accuracy))}`).join(' ');
  return (
    `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2" stroke-dasharray="${dashes}"/>` +
    `<circle cx="${place(x(best.alpha))}" cy="${place(y(best.accuracy))}" r="4" fill="${colour}"/>`
  );
}

function legend({ label, colour, dashes }: Line, index: number): string {
  const at = left + 12 + index * 140;
  return (
    `<line x1="${at}" x2="${at + 28}" y1="12" y2="12" stroke="${colour}" stroke-width="2" stroke-dasharray="${dashes}"/>` +
    `<text x="${at + 34}" y="16">${label}</text>`
  );
}
