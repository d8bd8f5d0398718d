import type {
  ClipVitArchitecture,
  Eva02Architecture,
  ResNetArchitecture,
  VisionArchitecture,
} from '../models/architecture.ts';
import type { TextArchitecture } from '../models/textArchitecture.ts';

type Sizes = Pick<
  ClipVitArchitecture,
  'imageSize' | 'patchSize' | 'width' | 'layers' | 'heads' | 'mlpWidth' | 'embeddingDimension'
>;

interface Family {
  sizes: Sizes;
  /** Width, heads and layers of the text tower. */
  text: TextSizes;
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

type TextSizes = readonly [width: number, heads: number, layers: number];

const textTower = ([width, heads, layers]: TextSizes): TextArchitecture => ({
  kind: 'clip',
  contextLength: 77,
  vocabularySize: 49408,
  width,
  heads,
  layers,
  mlpWidth: 4 * width,
  endOfText: null,
});

const clipVit = (
  name: string,
  { sizes, text }: Family,
  activation: 'gelu' | 'quickGelu',
): ClipVitArchitecture => ({
  kind: activation === 'gelu' ? 'openclip' : 'openai',
  name,
  ...sizes,
  activation,
  text: textTower(text),
});

const clipVits = Object.entries(families).flatMap(([name, family]) => [
  ...(family.gelu ? [clipVit(name, family, 'gelu')] : []),
  ...(family.quickGelu ? [clipVit(`${name}-quickgelu`, family, 'quickGelu')] : []),
]);

/** As EVA-CLIP's own configurations give them: the hidden width is ⌊2.6667 · width⌋. */
const eva02 = { kind: 'eva02', activation: 'gelu', rotaryGrid: 16 } as const;

const eva02s: Eva02Architecture[] = [
  {
    ...eva02,
    name: 'EVA02-CLIP-B-16',
    ...{ ...base, patchSize: 16, mlpWidth: 2048 },
    text: textTower([512, 8, 12]),
  },
  {
    ...eva02,
    name: 'EVA02-CLIP-L-14-336',
    ...{ ...large, imageSize: 336, mlpWidth: 2730 },
    text: textTower([768, 12, 12]),
  },
];

interface ResNetSizes {
  stages: readonly [number, number, number, number];
  width: number;
  imageSize: number;
  embeddingDimension: number;
  text: TextSizes;
  /** Whether weights whose text tower has the exact GELU have been published under this name. */
  gelu: boolean;
}

/** Sizes as OpenAI published them. */
const resNetSizes: Readonly<Record<string, ResNetSizes>> = {
  RN50: {
    stages: [3, 4, 6, 3],
    width: 64,
    imageSize: 224,
    embeddingDimension: 1024,
    text: [512, 8, 12],
    gelu: true,
  },
  RN101: {
    stages: [3, 4, 23, 3],
    width: 64,
    imageSize: 224,
    embeddingDimension: 512,
    text: [512, 8, 12],
    gelu: true,
  },
  RN50x4: {
    stages: [4, 6, 10, 6],
    width: 80,
    imageSize: 288,
    embeddingDimension: 640,
    text: [640, 10, 12],
    gelu: false,
  },
  RN50x16: {
    stages: [6, 8, 18, 8],
    width: 96,
    imageSize: 384,
    embeddingDimension: 768,
    text: [768, 12, 12],
    gelu: false,
  },
  RN50x64: {
    stages: [3, 15, 36, 10],
    width: 128,
    imageSize: 448,
    embeddingDimension: 1024,
    text: [1024, 16, 12],
    gelu: false,
  },
};

const resNet = (name: string, sizes: ResNetSizes, activation: 'gelu' | 'quickGelu'): ResNetArchitecture => ({
  kind: 'resnet',
  name,
  imageSize: sizes.imageSize,
  patchSize: 32,
  width: sizes.width,
  layers: sizes.stages.length,
  stages: sizes.stages,
  heads: sizes.width / 2,
  mlpWidth: sizes.width * 8,
  embeddingDimension: sizes.embeddingDimension,
  activation,
  text: textTower(sizes.text),
});

const resNets = Object.entries(resNetSizes).flatMap(([name, sizes]) => [
  ...(sizes.gelu ? [resNet(name, sizes, 'gelu')] : []),
  resNet(`${name}-quickgelu`, sizes, 'quickGelu'),
]);

/** Architectures by OpenCLIP's and EVA-CLIP's names. */
export const knownArchitectures: ReadonlyMap<string, VisionArchitecture> = new Map(
  [...clipVits, ...eva02s, ...resNets].map(architecture => [architecture.name!, architecture]),
);

/** The known architecture with the same image tower, as a name; null when there is none. */
export function knownName(architecture: VisionArchitecture): string | null {
  const sought = towerOf(architecture);
  for (const [name, known] of knownArchitectures) if (towerOf(known) === sought) return name;
  return null;
}

/** Everything but the names and the text tower, in an order that does not depend on the object. */
function towerOf({ name: _name, text: _text, ...tower }: VisionArchitecture): string {
  return JSON.stringify(Object.entries(tower).sort(([a], [b]) => (a < b ? -1 : 1)));
}
