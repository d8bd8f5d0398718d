import type { Box, Canvas, Point } from './canvas.ts';
import type { Icon, IconName } from './icons.ts';
import type { Posture, Zone, Zones } from './zones.ts';

export interface ItemOptions {
  /** Position in the zone, each from 0 (left, top) to 1; drawn at random where absent. */
  at?: readonly [number, number];
  /** Degrees, clockwise; a small random tilt that suits the posture where absent. */
  tilt?: number;
  /** Whether left and right are swapped; drawn at random where absent. */
  mirrored?: boolean;
  /** Part of the height that is under water, for what swims. */
  sunk?: number;
}

/**
 * An icon, the zone it belongs to, and its size: the longer visible side where the zone is nearest, over the shorter
 * side of the picture.
 */
export type SceneItem = readonly [icon: IconName, zone: string, size: number, options?: ItemOptions];

export interface PlacedItem {
  icon: Icon;
  posture: Posture;
  /** The visible part before tilting, in pixels. */
  box: Box;
  tilt: number;
  mirrored: boolean;
  /** Part of the height that is under water and not drawn. */
  sunk: number;
}

const CANDIDATES = 60;
const USUALLY_SUNK = 0.12;
const tiltRange: Record<Posture, number> = { stand: 2, swim: 4, float: 9, lie: 32 };
const allowedOverlap: Record<Posture, number> = { stand: 0.22, swim: 0.15, float: 0.04, lie: 0.07 };

/** Places a scene's items one after the other, and returns them back to front. */
export function placeItems(
  canvas: Canvas,
  zones: Zones,
  items: readonly SceneItem[],
  icons: ReadonlyMap<IconName, Icon>,
): PlacedItem[] {
  const placed: PlacedItem[] = [];
  for (const [name, zoneName, size, options = {}] of items) {
    const icon = icons.get(name);
    const zone = zones[zoneName];
    if (!icon) throw new Error(`icon ${name} was not loaded`);
    if (!zone)
      throw new Error(`this backdrop has no zone "${zoneName}"; it has ${Object.keys(zones).join(', ')}`);
    placed.push({
      icon,
      posture: zone.posture,
      box: findBox(canvas, zone, icon, size, options.at, placed),
      tilt: options.tilt ?? canvas.random.between(-1, 1) * tiltRange[zone.posture],
      mirrored: options.mirrored ?? canvas.random.chance(0.5),
      sunk: zone.posture === 'swim' ? (options.sunk ?? USUALLY_SUNK) : 0,
    });
  }
  return placed.sort((a, b) => foot(a) - foot(b));
}

/** What floats is behind what stands: a bird never hides a house. */
function foot({ posture, box }: PlacedItem): number {
  return posture === 'float' ? -1 : box.top + box.height;
}

function findBox(
  canvas: Canvas,
  zone: Zone,
  icon: Icon,
  size: number,
  at: ItemOptions['at'],
  others: readonly PlacedItem[],
): Box {
  if (at) return boxAt(canvas, zone, icon, size, { x: at[0], y: at[1] });
  let best: { box: Box; overlap: number } | undefined;
  for (let i = 0; i < CANDIDATES; i++) {
    const box = boxAt(canvas, zone, icon, size, {
      x: canvas.random.between(0, 1),
      y: canvas.random.between(0, 1),
    });
    const overlap = Math.max(0, ...others.map(other => overlapOf(box, other.box)));
    if (!best || overlap < best.overlap) best = { box, overlap };
    if (overlap <= allowedOverlap[zone.posture]) break;
  }
  return best!.box;
}

function boxAt(canvas: Canvas, zone: Zone, icon: Icon, size: number, at: Point): Box {
  const scale = zone.farScale + (1 - zone.farScale) * at.y;
  const side = size * scale * Math.min(canvas.width, canvas.height);
  const unit = side / Math.max(icon.bounds.width, icon.bounds.height);
  const [width, height] = [icon.bounds.width * unit, icon.bounds.height * unit];
  const margin = 0.02 * canvas.width;
  const left = zone.left + margin + at.x * (zone.right - zone.left - 2 * margin - width);
  const onFeet = zone.posture === 'stand' || zone.posture === 'swim';
  const top = onFeet
    ? zone.top + at.y * (zone.bottom - zone.top) - height
    : zone.top + at.y * (zone.bottom - zone.top - height);
  return { left, top, width, height };
}

/** Intersection over the smaller of two areas. */
function overlapOf(a: Box, b: Box): number {
  const width = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const height = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  if (width <= 0 || height <= 0) return 0;
  return (width * height) / Math.min(a.width * a.height, b.width * b.height);
}
