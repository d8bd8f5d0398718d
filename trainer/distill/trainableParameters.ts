import type { VisionArchitecture } from '../models/architecture.ts';

/**
 * Parameter groups of an image tower in the order the published code unlocks them, last first: the last block, the
 * blocks before it one by one, the position embedding, then patch embedding, class token and `ln_pre` together.
 * `ln_post` and the projection never train.
 */
export function unlockGroups(architecture: VisionArchitecture): ((name: string) => boolean)[] {
  const blocks = Array.from({ length: architecture.layers }, (_, index) => {
    const prefix = `visual.transformer.resblocks.${architecture.layers - 1 - index}.`;
    return (name: string) => name.startsWith(prefix);
  });
  const stem = ['visual.conv1.', 'visual.class_embedding', 'visual.ln_pre.'];
  return [
    ...blocks,
    name => name === 'visual.positional_embedding',
    name => stem.some(prefix => name.startsWith(prefix)),
  ];
}

/** Names among `names` that train when the last `unlocked` groups are. */
export function trainableNames(
  architecture: VisionArchitecture,
  names: Iterable<string>,
  unlocked: number,
): string[] {
  const groups = unlockGroups(architecture).slice(0, Math.max(0, unlocked));
  return [...names].filter(name => groups.some(holds => holds(name)));
}
