import type { Canvas } from './canvas.ts';
import * as indoor from './indoorBackdrops.ts';
import * as outdoor from './outdoorBackdrops.ts';
import * as table from './tableBackdrops.ts';
import * as town from './townBackdrops.ts';
import * as water from './waterBackdrops.ts';
import type { Zones } from './zones.ts';

/** Every backdrop by name: it fills the canvas and says where things may be. */
export const backdrops = { ...indoor, ...outdoor, ...table, ...town, ...water } satisfies Record<
  string,
  (canvas: Canvas) => Zones
>;

export type BackdropName = keyof typeof backdrops;
