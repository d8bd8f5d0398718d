import type { BackdropName } from './backdrops.ts';
import type { SceneItem } from './placement.ts';

/** One sample picture: its size in pixels, what is behind, what is in it. */
export interface Scene {
  width: number;
  height: number;
  seed: number;
  backdrop: BackdropName;
  items: readonly SceneItem[];
}
