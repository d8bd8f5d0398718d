import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import sharp from 'sharp';
import { type WorldClass, worldClasses } from './classes.ts';
import { type Sprite, spriteOf } from './sprite.ts';
import { iconStyles, type StyleName } from './styles.ts';

/** The icons of a style could not be had. */
export class IconError extends Error {
  override readonly name = 'IconError';
}

interface IconSet {
  width?: number;
  height?: number;
  icons: Record<string, { body: string; width?: number; height?: number }>;
}

/** Longest side of an icon as it is rasterised, in pixels: once, larger than it is drawn in most scenes. */
const rasterSide = 128;

async function readIconSet(style: StyleName): Promise<IconSet> {
  const name = iconStyles[style].package;
  try {
    return JSON.parse(await readFile(createRequire(import.meta.url).resolve(`${name}/icons.json`), 'utf8'));
  } catch {
    throw new IconError(
      `the icons of ${style} are not installed (${name}): Emoji World is rendered in a clone of the repository, after npm ci`,
    );
  }
}

async function rasterise(style: StyleName, set: IconSet, icon: string): Promise<Sprite> {
  const found = Object.hasOwn(set.icons, icon) ? set.icons[icon] : undefined;
  if (!found) throw new IconError(`${iconStyles[style].package} has no icon '${icon}'`);
  const [width, height] = [found.width ?? set.width ?? 16, found.height ?? set.height ?? 16];
  const scale = rasterSide / Math.max(width, height);
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ` +
    `viewBox="0 0 ${width} ${height}" width="${width * scale}" height="${height * scale}">${found.body}</svg>`;
  const { data, info } = await sharp(Buffer.from(svg))
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return spriteOf(data, info.width, info.height);
}

/** Sprites of the things that a style draws, by category id. */
export type StyleSprites = ReadonlyMap<number, readonly Sprite[]>;

const loaded = new Map<StyleName, Promise<StyleSprites>>();

/**
 * Rasterises the icons of a style, once in a process.
 *
 * @throws IconError when the package is not installed or lacks an icon.
 */
export function loadStyle(style: StyleName): Promise<StyleSprites> {
  let sprites = loaded.get(style);
  sprites ??= loadSprites(style, worldClasses);
  loaded.set(style, sprites);
  return sprites;
}

async function loadSprites(style: StyleName, classes: readonly WorldClass[]): Promise<StyleSprites> {
  const set = await readIconSet(style);
  const sprites = new Map<number, readonly Sprite[]>();
  for (const [index, { icons }] of classes.entries()) {
    const names = icons[style];
    if (names) sprites.set(index + 1, await Promise.all(names.map(name => rasterise(style, set, name))));
  }
  return sprites;
}

/** Several styles by name. */
export async function loadStyles(styles: Iterable<StyleName>): Promise<Map<StyleName, StyleSprites>> {
  const all = new Map<StyleName, StyleSprites>();
  for (const style of styles) all.set(style, await loadStyle(style));
  return all;
}
