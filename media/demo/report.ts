import { regionReadings, type TwelveNumberName } from '../../trainer/evaluate/protocol.ts';
import type { Claim, Comparison, Numbers } from './verdict.ts';

/** A scene and pictures of its dense features before and after. */
export interface SceneViews {
  name: string;
  /** JPEG file. */
  image: Uint8Array;
  /** PNG files. */
  before: Uint8Array;
  after: Uint8Array;
}

export interface DemoReport {
  model: string;
  /** What the scenes look like, in a sentence or two. */
  scenes: string;
  comparisons: { title: string; numbers: Comparison }[];
  claims: Claim[];
  /** Loss of every step. */
  losses: number[];
  views: SceneViews[];
  minutes: number;
}

const readingNames = {
  rois: 'dense features over boxes',
  maskpool: 'dense features over masks',
  crops: 'image crops',
} as const;

const columns = ['thing.macc1', 'thing.macc5', 'stuff.macc1', 'stuff.macc5'] as const;
const headings = ['things, top 1', 'things, top 5', 'stuff, top 1', 'stuff, top 5'];

/** What the crops row tells: the method learns from it, and it is what the student gives up. */
const cropsNote =
  'Image crops before are the teacher, which the dense features learn from: the reference. Image crops after are the ' +
  "student's own class token, which CLIPSelf does not train: what is retained of it.";

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

const style = `
:root { color-scheme: light dark; --line: #d5d7de; --plate: #f5f6fa; --curve: #2457a8; --good: #176b2c; --bad: #a3161c }
@media (prefers-color-scheme: dark) { :root { --line: #3c404b; --plate: #1d2027; --curve: #7fb0ff; --good: #7fd493; --bad: #ff8f8f } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { padding: .35rem .9rem; border-bottom: 1px solid var(--line); text-align: right; font-variant-numeric: tabular-nums }
th:first-child, td:first-child { text-align: left; font-weight: normal }
figure { display: inline-block; margin: 0 1rem 1rem 0 } figcaption { font-size: .85rem }
img { width: 18rem; image-rendering: pixelated; background: var(--plate) }
li { list-style: none; margin: .3rem 0 } ul { padding: 0 } .yes b { color: var(--good) } .no b { color: var(--bad) }
svg { width: 100%; height: auto; background: var(--plate) } svg text { fill: currentColor; font-size: 13px }`;

/** A page that needs nothing beside itself. */
export function htmlReport(report: DemoReport): string {
  const { model, scenes, comparisons, claims, losses, views, minutes } = report;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>CLIPSelf demo</title>
<style>${style}</style></head><body>
<h1>CLIPSelf on Emoji World</h1>
<p>How often a region is named rightly by the words of 78 classes, as the mean over classes, with <code>${escapeHtml(model)}</code> before and after
CLIPSelf on unlabelled scenes. ${minutes.toFixed(1)} minutes in all.</p>
<p>${escapeHtml(scenes)}</p>
${comparisons.map(numberTable).join('\n')}
<p>${escapeHtml(cropsNote)}</p>
<h2>What was claimed</h2>
<ul>${claims.map(claimItem).join('')}</ul>
<h2>K-Means of dense features</h2>
${views.map(sceneRow).join('\n')}
<h2>Loss</h2>
${lossCurve(losses)}
</body></html>
`;
}

function numberTable({ title, numbers }: DemoReport['comparisons'][number]): string {
  const rows = regionReadings.map(reading => {
    const cells = columns.map(column => {
      const name = `${reading}.${column}` as const;
      return `<td>${shown(numbers.before, name)} → <b>${shown(numbers.after, name)}</b></td>`;
    });
    return `<tr><th scope="row">${readingNames[reading]}</th>${cells.join('')}</tr>`;
  });
  const head = headings.map(text => `<th scope="col">${text}</th>`).join('');
  return `<h2>${escapeHtml(title)}</h2><table><tr><td></td>${head}</tr>${rows.join('')}</table>`;
}

const claimItem = ({ text, measured, holds }: Claim): string =>
  `<li class="${holds ? 'yes' : 'no'}"><b>${holds ? '✓ yes' : '✗ no'}</b> ${escapeHtml(text)}: ${escapeHtml(measured)}</li>`;

/** Loss by step, from 0 up. */
function lossCurve(losses: readonly number[]): string {
  const [width, height, left] = [800, 220, 40];
  const most = Math.max(...losses, 1e-6);
  const points = losses.map((loss, index) => {
    const x = left + (index / Math.max(1, losses.length - 1)) * (width - left);
    return `${x.toFixed(1)},${(height - (loss / most) * (height - 15)).toFixed(1)}`;
  });
  const label = `${losses.length} steps, ${losses[0]?.toFixed(3)} to ${losses.at(-1)?.toFixed(3)}`;
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Loss: ${label}">
<text x="2" y="24">${most.toFixed(2)}</text><text x="2" y="${height - 4}">0</text>
<polyline fill="none" stroke="var(--curve)" stroke-width="1.5" points="${points.join(' ')}"/></svg>
<p>1 − cosine between student and teacher: ${label}.</p>`;
}

function sceneRow({ name, image, before, after }: SceneViews): string {
  const picture = (kind: string, bytes: Uint8Array, caption: string): string => {
    const source = `data:image/${kind};base64,${Buffer.from(bytes).toString('base64')}`;
    return `<figure><img alt="${escapeHtml(`${name}: ${caption}`)}" src="${source}"><figcaption>${escapeHtml(caption)}</figcaption></figure>`;
  };
  const pictures = [
    picture('jpeg', image, name),
    picture('png', before, 'before'),
    picture('png', after, 'after'),
  ];
  return `<div>${pictures.join('')}</div>`;
}
