/**
 * Writes the extension's icons: a grid of patches in which one object stands out, and its crop beside it.
 *
 *     npx tsx media/icons/renderIcons.ts
 */

import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';

/** Cells of the 4 × 4 grid that belong to the object: a coherent region, as dense features should show it. */
const object = new Set(['1,1', '1,2', '2,0', '2,1', '2,2', '2,3', '3,1', '3,2']);

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

function cells(size: number, gap: number, draw: (inside: boolean, x: number, y: number) => string): string {
  const lines: string[] = [];
  for (let row = 0; row < 4; row++) {
    for (let column = 0; column < 4; column++) {
      const inside = object.has(`${row},${column}`);
      lines.push(draw(inside, column * (size + gap), row * (size + gap)));
    }
  }
  return lines.join('\n  ');
}

/** One colour, for the activity bar and tabs: the object's cells are filled, the others are outlines. */
function outlineIcon(colour: string): string {
  const square = cells(4, 1.33, (inside, x, y) => {
    const place = `x="${(2 + x + (inside ? 0 : 0.4)).toFixed(2)}" y="${(2 + y + (inside ? 0 : 0.4)).toFixed(2)}"`;
    return inside
      ? `<rect ${place} width="4" height="4" rx="0.8" fill="${colour}"/>`
      : `<rect ${place} width="3.2" height="3.2" rx="0.6" stroke="${colour}" stroke-width="0.8"/>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24" viewBox="0 0 24 24" fill="none">
  ${square}
</svg>
`;
}

function marketplaceIcon(): string {
  const square = cells(20, 5, (inside, x, y) => {
    const warmth = inside ? ['#f59e0b', '#f97316', '#fb923c'][(x + y) % 3] : '#22395f';
    return `<rect x="${16.5 + x}" y="${16.5 + y}" width="20" height="20" rx="4" fill="${warmth}"/>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="128" height="128" viewBox="0 0 128 128">
  <rect width="128" height="128" rx="24" fill="#101828"/>
  ${square}
  <rect x="12" y="37" width="104" height="79" rx="9" fill="none" stroke="#5eead4" stroke-width="4"/>
</svg>
`;
}

await writeFile(path('activity-bar.svg'), outlineIcon('currentColor'));
await writeFile(path('panel-dark.svg'), outlineIcon('#c5c5c5'));
await writeFile(path('panel-light.svg'), outlineIcon('#424242'));
await writeFile(path('icon.svg'), marketplaceIcon());
await sharp(Buffer.from(marketplaceIcon()), { density: 144 }).resize(128, 128).png().toFile(path('icon.png'));
