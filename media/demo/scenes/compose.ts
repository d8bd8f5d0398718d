import { backdrops } from './backdrops.ts';
import { Canvas, tenth } from './canvas.ts';
import { type IconName, loadIcons } from './icons.ts';
import { type PlacedItem, placeItems } from './placement.ts';
import { SceneRandom } from './random.ts';
import type { Scene } from './scene.ts';

/** The whole scene as SVG text; the same scene and seed give the same text. */
export async function composeScene(scene: Scene): Promise<string> {
  const icons = await loadIcons(new Set<IconName>(scene.items.map(([icon]) => icon)));
  const canvas = new Canvas(scene.width, scene.height, new SceneRandom(scene.seed));
  const zones = backdrops[scene.backdrop](canvas);
  for (const item of placeItems(canvas, zones, scene.items, icons)) drawItem(canvas, item);
  return canvas.toSvg();
}

function drawItem(canvas: Canvas, item: PlacedItem): void {
  const { posture } = item;
  if (posture === 'stand') drawGroundShadow(canvas, item);
  if (posture === 'lie') drawTableShadow(canvas, item);
  canvas.raw(iconElement(canvas, item));
  if (posture === 'swim') drawRipples(canvas, item);
}

function drawGroundShadow(canvas: Canvas, { box }: PlacedItem): void {
  const at = { x: box.left + box.width * 0.52, y: box.top + box.height - box.width * 0.01 };
  canvas.ellipse(at, box.width * 0.56, Math.max(3, box.width * 0.1), canvas.glow('#000000', 0.45));
}

function drawTableShadow(canvas: Canvas, { box }: PlacedItem): void {
  const at = { x: box.left + box.width * 0.53, y: box.top + box.height * 0.56 };
  canvas.ellipse(at, box.width * 0.6, box.height * 0.6, canvas.glow('#1a0d00', 0.6));
}

function drawRipples(canvas: Canvas, { box, sunk }: PlacedItem): void {
  const y = box.top + box.height * (1 - sunk);
  for (const [reach, drop, opacity] of [
    [0.58, 0, 0.9],
    [0.72, 0.05, 0.5],
  ] as const) {
    const half = box.width * reach;
    const x = box.left + box.width / 2 - half;
    const bow = tenth(box.width * 0.07);
    canvas.line(`M${tenth(x)} ${tenth(y + drop * box.width)}q${tenth(half)} ${bow} ${tenth(half * 2)} 0`, {
      colour: '#e8faff',
      width: Math.max(1.5, box.width * 0.02),
      opacity,
    });
  }
}

/** The icon's symbol scaled into its box, turned about the box's centre (about the feet where it stands). */
function iconElement(canvas: Canvas, { icon, box, tilt, mirrored, posture, sunk }: PlacedItem): string {
  const { left, top, width, height } = icon.bounds;
  const id = sunk > 0 ? `${icon.id}-afloat` : icon.id;
  const viewBox = `${left} ${top} ${width} ${height * (1 - sunk)}`;
  canvas.define(
    id,
    `<symbol id="${id}" viewBox="${viewBox}" preserveAspectRatio="none">${icon.body}</symbol>`,
  );
  const x = box.left + box.width / 2;
  const y = box.top + box.height * (posture === 'stand' ? 1 : 0.5);
  const turn = `translate(${tenth(x)} ${tenth(y)}) rotate(${tenth(tilt)}) scale(${mirrored ? -1 : 1} 1)`;
  return (
    `<g transform="${turn}"><use href="#${id}" xlink:href="#${id}" x="${tenth(box.left - x)}" y="${tenth(box.top - y)}" ` +
    `width="${tenth(box.width)}" height="${tenth(box.height * (1 - sunk))}"/></g>`
  );
}
