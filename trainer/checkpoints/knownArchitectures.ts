import type { VisionArchitecture } from '../models/architecture.ts';

type Sizes = Pick<
  VisionArchitecture,
  'imageSize' | 'patchSize' | 'width' | 'layers' | 'heads' | 'mlpWidth' | 'embeddingDimension'
>;

interface Family {
  sizes: Sizes;
  /** Width, heads and layers of the text tower. */
  text: readonly [width: number, heads: number, layers: number];
  /** Whether weights with that activation have been published under this name. */
  gelu: boolean;
  quickGelu: boolean;
}

const base = { imageSize: 224, width: 768, layers: 12, heads: 12, mlpWidth: 3072, embeddingDimension: 512 };
const large = { patchSize: 14, width: 1024, layers: 24, heads: 16, mlpWidth: 4096, embeddingDimension: 768 };
const huge = { patchSize: 14, width: 1280, layers: 32, heads: 16, mlpWidth: 5120, embeddingDimension: 1024 };
const giant = { patchSize: 14, width: 1408, layers: 40, heads: 16, mlpWidth: 6144, embeddingDimension: 1024 };
const bigGiant = {
  patchSize: 14,
  width: 1664,
  layers: 48,
  heads: 16,
  mlpWidth: 8192,
  embeddingDimension: 1280,
};

/** Sizes as the OpenCLIP model configurations of the same names give them. */
const families: Readonly<Record<string, Family>> = {
  'ViT-B-32': { sizes: { ...base, patchSize: 32 }, text: [512, 8, 12], gelu: true, quickGelu: true },
  'ViT-B-16': { sizes: { ...base, patchSize: 16 }, text: [512, 8, 12], gelu: true, quickGelu: true },
  'ViT-L-14': { sizes: { ...large, imageSize: 224 }, text: [768, 12, 12], gelu: true, quickGelu: true },
  'ViT-L-14-336': { sizes: { ...large, imageSize: 336 }, text: [768, 12, 12], gelu: true, quickGelu: true },
  'ViT-H-14': { sizes: { ...huge, imageSize: 224 }, text: [1024, 16, 24], gelu: true, quickGelu: true },
  'ViT-H-14-378': { sizes: { ...huge, imageSize: 378 }, text: [1024, 16, 24], gelu: false, quickGelu: true },
  'ViT-g-14': { sizes: { ...giant, imageSize: 224 }, text: [1024, 16, 24], gelu: true, quickGelu: false },
  'ViT-bigG-14': {
    sizes: { ...bigGiant, imageSize: 224 },
    text: [1280, 20, 32],
    gelu: true,
    quickGelu: true,
  },
};

function architectureOf(name: string, family: Family, activation: 'gelu' | 'quickGelu'): VisionArchitecture {
  const [width, heads, layers] = family.text;
  return {
    kind: activation === 'gelu' ? 'openclip' : 'openai',
    name,
    ...family.sizes,
    activation,
    text: { context_length: 77, vocab_size: 49408, width, heads, layers },
  };
}

/** Architectures by OpenCLIP's names. */
export const knownArchitectures: ReadonlyMap<string, VisionArchitecture> = new Map(
  Object.entries(families).flatMap(([name, family]) => {
    const variants: [string, VisionArchitecture][] = [];
    if (family.gelu) variants.push([name, architectureOf(name, family, 'gelu')]);
    const quick = `${name}-quickgelu`;
    if (family.quickGelu) variants.push([quick, architectureOf(quick, family, 'quickGelu')]);
    return variants;
  }),
);

/** The known architecture with the same image tower, as a name; null when there is none. */
export function knownName(architecture: Omit<VisionArchitecture, 'name' | 'kind' | 'text'>): string | null {
  for (const [name, known] of knownArchitectures) {
    const same =
      known.imageSize === architecture.imageSize &&
      known.patchSize === architecture.patchSize &&
      known.width === architecture.width &&
      known.layers === architecture.layers &&
      known.heads === architecture.heads &&
      known.mlpWidth === architecture.mlpWidth &&
      known.embeddingDimension === architecture.embeddingDimension &&
      known.activation === architecture.activation;
    if (same) return name;
  }
  return null;
}
