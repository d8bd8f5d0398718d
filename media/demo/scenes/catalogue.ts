import { firstScenes } from './firstScenes.ts';
import type { Scene } from './scene.ts';
import { secondScenes } from './secondScenes.ts';

/** The sample scenes in file order: the first becomes scene-01.jpg. */
export const scenes: readonly Scene[] = [...firstScenes, ...secondScenes];
