import { regionReadings, type TwelveNumberName } from '../../../trainer/evaluate/protocol.ts';
import type { Claim, Comparison, Numbers } from './verdict.ts';

/** A picture of dense features before and after. */
export interface OverlayPair {
  name: string;
  /** PNG files. */
  before: Uint8Array;
  after: Uint8Array;
}

export interface DemoReport {
  model: string;
  comparisons: { title: string; numbers: Comparison }[];
  claims: Claim[];
  /** Loss of every step. */
  losses: number[];
  overlays: OverlayPair[];
  minutes: number;
}

const readingNames = {
  rois: 'dense features over boxes',
  maskpool: 'dense features over masks',
  crops: 'image crops',
} as const;

const columns = ['thing.macc1', 'thing.macc5', 'stuff.macc1', 'stuff.macc5'] as const;
const headings = ['things, top 1', 'things, top 5', 'stuff, top 1', 'stuff, top 5'];

const shown = (numbers: Numbers, name: TwelveNumberName): string => {
  const value = numbers[name];
  return value === null || value === undefined ? '–' : `${(100 * value).toFixed(1)} %`;
};

/** The twelve numbers before and after as lines for a terminal. */
export function numberLines({ title, numbers }: DemoReport['comparisons'][number]): string[] {
  const rows = regionReadings.map(reading => {
    const cells = columns.map(column => {
      const name = `${reading}.${column}` as const;
      return `${shown(numbers.before, name)} → ${shown(numbers.after, name)}`.padStart(19);
    });
    return `  ${readingNames[reading].padEnd(27)}${cells.join('')}`;
  });
  return [title, `  ${''.padEnd(27)}${headings.map(text => text.padStart(19)).join('')}`, ...rows];
}

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`);

/** A page that needs nothing beside itself. */
export function htmlReport(report: DemoReport): string {
  const { model, comparisons, claims, losses, overlays, minutes } = report;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>CLIPSelf demo</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1f; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .3rem .8rem; border-bottom: 1px solid #ccd; text-align: right }
th:first-child, td:first-child { text-align: left } img { width: 15rem; image-rendering: pixelated; margin: .2rem }
.yes { color: #176b2c } .no { color: #a12 } svg { width: 100%; height: auto; background: #f5f5fa }
</style></head><body>
<h1>CLIPSelf on Emoji World</h1>
<p>The dense features of <code>${escapeHtml(model)}</code> before and after CLIPSelf on unlabelled scenes: how often a region is named rightly,
as the mean over classes. Image crops are what the method learns from, and its reference. ${minutes.toFixed(1)} minutes in all.</p>
${comparisons.map(numberTable).join('\n')}
<h2>What was claimed</h2>
<ul>${claims.map(claimItem).join('')}</ul>
<h2>Loss</h2>
${lossCurve(losses)}
<h2>K-Means of dense features, before and after</h2>
${overlays.map(overlayRow).join('\n')}
</body></html>
`;
}

function numberTable({ title, numbers }: DemoReport['comparisons'][number]): string {
  const rows = regionReadings.map(reading => {
    const cells = columns.map(column => {
      const name = `${reading}.${column}` as const;
      return `<td>${shown(numbers.before, name)} → <b>${shown(numbers.after, name)}</b></td>`;
    });
    return `<tr><td>${readingNames[reading]}</td>${cells.join('')}</tr>`;
  });
  const head = headings.map(text => `<th>${text}</th>`).join('');
  return `<h2>${escapeHtml(title)}</h2><table><tr><th></th>${head}</tr>${rows.join('')}</table>`;
}

const claimItem = ({ text, measured, holds }: Claim): string =>
  `<li class="${holds ? 'yes' : 'no'}">${holds ? 'yes' : 'no'}: ${escapeHtml(text)} (measured: ${escapeHtml(measured)})</li>`;

/** Loss by step, from 0 up. */
function lossCurve(losses: readonly number[]): string {
  const [width, height] = [800, 220];
  const most = Math.max(...losses, 1e-6);
  const points = losses.map((loss, index) => {
    const x = (index / Math.max(1, losses.length - 1)) * width;
    return `${x.toFixed(1)},${(height - (loss / most) * (height - 10)).toFixed(1)}`;
  });
  const label = `${losses.length} steps, ${losses[0]?.toFixed(3)} to ${losses.at(-1)?.toFixed(3)}`;
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Loss: ${label}"><polyline fill="none" stroke="#2457a8" points="${points.join(' ')}"/></svg><p>${label}</p>`;
}

function overlayRow({ name, before, after }: OverlayPair): string {
  const image = (bytes: Uint8Array, when: string): string =>
    `<img alt="${escapeHtml(name)}, ${when}" src="data:image/png;base64,${Buffer.from(bytes).toString('base64')}">`;
  return `<p>${image(before, 'before')}${image(after, 'after')}</p>`;
}
