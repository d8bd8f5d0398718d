import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import sharp from 'sharp';
import type { Box } from './canvas.ts';

/** `fluent:` is Fluent Emoji Flat (MIT), `noto:` is Noto Emoji (Apache-2.0). */
export type IconName = `${'fluent' | 'noto'}:${string}`;

export interface Icon {
  /** Element id of the symbol; unique among icons. */
  id: string;
  /** Inner SVG, its ids made unique by the icon's own. */
  body: string;
  /** The drawn part in the icon's own units: icons leave an empty border that differs from one to the next. */
  bounds: Box;
}

interface IconSet {
  width: number;
  height: number;
  icons: Record<string, { body: string; width?: number; height?: number }>;
}

const MEASURE_PIXELS = 256;
const VISIBLE_ALPHA = 24;
const packages: Record<string, string> = {
  fluent: '@iconify-json/fluent-emoji-flat/icons.json',
  noto: '@iconify-json/noto/icons.json',
};
const require = createRequire(import.meta.url);
const loadedSets = new Map<string, IconSet>();
const loadedIcons = new Map<IconName, Icon>();

/** Loads and measures icons. Throws when a set has no icon of that name. */
export async function loadIcons(names: Iterable<IconName>): Promise<ReadonlyMap<IconName, Icon>> {
  for (const name of names) if (!loadedIcons.has(name)) loadedIcons.set(name, await loadIcon(name));
  return loadedIcons;
}

async function loadIcon(name: IconName): Promise<Icon> {
  const [setName = '', iconName = ''] = name.split(':');
  const set = iconSet(setName);
  const icon = set.icons[iconName];
  if (!icon) throw new Error(`icon ${name}: ${packages[setName]} has no "${iconName}"; check the spelling`);
  const id = `${setName}-${iconName}`;
  const body = icon.body.replaceAll(/(\bid="|url\(#|href="#)/g, `$1${id}-`);
  const bounds = await visibleBounds(body, icon.width ?? set.width, icon.height ?? set.height);
  return { id, body, bounds };
}

function iconSet(name: string): IconSet {
  let set = loadedSets.get(name);
  if (!set) {
    const path = packages[name];
    if (path === undefined)
      throw new Error(`icon set "${name}" is unknown; use ${Object.keys(packages).join(' or ')}`);
    set = JSON.parse(readFileSync(require.resolve(path), 'utf8')) as IconSet;
    loadedSets.set(name, set);
  }
  return set;
}

async function visibleBounds(body: string, width: number, height: number): Promise<Box> {
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 ${width} ${height}" ` +
    `width="${MEASURE_PIXELS}" height="${MEASURE_PIXELS}">${body}</svg>`;
  const { data, info } = await sharp(Buffer.from(svg))
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  let [left, top, right, bottom] = [info.width, info.height, 0, 0];
  for (let y = 0; y < info.height; y++) {
    for (let x = 0; x < info.width; x++) {
      if (data[(y * info.width + x) * 4 + 3]! < VISIBLE_ALPHA) continue;
      left = Math.min(left, x);
      top = Math.min(top, y);
      right = Math.max(right, x + 1);
      bottom = Math.max(bottom, y + 1);
    }
  }
  const unit = width / info.width;
  return { left: left * unit, top: top * unit, width: (right - left) * unit, height: (bottom - top) * unit };
}
