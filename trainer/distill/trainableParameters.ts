import { blockPrefix, type VisionArchitecture } from '../models/architecture.ts';

type ParameterGroup = (name: string) => boolean;

/**
 * Parameter groups of an image tower in the order the published code unlocks them, last first: the last block and the
 * blocks before it one by one; of CLIP ViTs then the position embedding, then patch embedding, class token and
 * `ln_pre` together. The last norm and the projection never train. A ResNet has none: it is for inference.
 */
function unlockGroups(architecture: VisionArchitecture, wholeImages = false): ParameterGroup[] {
  switch (architecture.kind) {
    case 'resnet':
      return [];
    case 'eva02':
      return blockGroups(architecture).map(
        holds => name => holds(name) && !isEvaConstant(architecture, name, wholeImages),
      );
    default:
      return [...blockGroups(architecture), ...clipVitStemGroups];
  }
}

const blockGroups = (architecture: VisionArchitecture): ParameterGroup[] =>
  Array.from({ length: architecture.layers }, (_, index) => {
    const prefix = blockPrefix(architecture, architecture.layers - 1 - index);
    return name => name.startsWith(prefix);
  });

const clipVitStem = ['visual.conv1.', 'visual.class_embedding', 'visual.ln_pre.'];

const clipVitStemGroups: ParameterGroup[] = [
  name => name === 'visual.positional_embedding',
  name => clipVitStem.some(prefix => name.startsWith(prefix)),
];

/**
 * Tensors of EVA-02's blocks that nothing changes: rotary tables, and query and key of the last block, which dense
 * features do not use (whole images do). Without a gradient they see no weight decay either.
 */
function isEvaConstant(architecture: VisionArchitecture, name: string, wholeImages: boolean): boolean {
  const last = `${blockPrefix(architecture, architecture.layers - 1)}attn.`;
  const unused = [`${last}q_proj.weight`, `${last}k_proj.weight`, `${last}q_bias`];
  return name.includes('.attn.rope.') || (!wholeImages && unused.includes(name));
}

/**
 * Names among `names` that train when the last `unlocked` groups are.
 *
 * @param wholeImages Whether the loss looks at embeddings of whole images beside dense features.
 */
export function trainableNames(
  architecture: VisionArchitecture,
  names: Iterable<string>,
  unlocked: number,
  wholeImages = false,
): string[] {
  const groups = unlockGroups(architecture, wholeImages).slice(0, Math.max(0, unlocked));
  return [...names].filter(name => groups.some(holds => holds(name)));
}
