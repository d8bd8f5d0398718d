import path from 'node:path';
import { gridSide, type VisionArchitecture } from '../models/architecture.ts';
import { FileError } from './fileError.ts';
import { knownArchitectures } from './knownArchitectures.ts';
import type { SafetensorsHeader } from './safetensors.ts';

const archAdvice = 'Pass --arch with a known name or the path of an open_clip_config.json';

/** Tensors that give away other layouts than the one that OpenAI and OpenCLIP share. */
const foreignLayouts: readonly (readonly [tensor: string, layout: string])[] = [
  ['vision_model.embeddings.patch_embedding.weight', 'the Hugging Face layout of CLIP'],
  ['visual.trunk.patch_embed.proj.weight', 'a timm image tower'],
  ['visual.patch_embed.proj.weight', 'an EVA-CLIP image tower'],
  ['visual.layer1.0.conv1.weight', 'a ResNet image tower'],
  ['visual.stem.0.weight', 'a convolutional image tower'],
];

/**
 * Refuses weights whose tensor names show another layout than the one this version reads.
 *
 * @throws FileError saying which layout it is and what to use instead.
 */
export function checkLayout({ file, tensors }: Pick<SafetensorsHeader, 'file' | 'tensors'>): void {
  const advice =
    'Use an OpenAI or OpenCLIP vision transformer with OpenCLIP tensor names (visual.conv1.weight, …)';
  for (const [tensor, layout] of foreignLayouts) {
    if (tensors.has(tensor))
      throw new FileError(file, `it holds ${layout}, which this version does not read`, advice);
  }
  if (!tensors.has('visual.conv1.weight')) {
    const names = [...tensors.keys()].slice(0, 3).map(name => `'${name.slice(0, 80)}'`);
    const found = names.length === 0 ? 'it is empty' : `it starts with ${names.join(', ')}`;
    throw new FileError(
      file,
      `it holds no CLIP image tower: no tensor 'visual.conv1.weight', ${found}`,
      advice,
    );
  }
}

/** Block numbers found under `visual.transformer.resblocks`; 0 when there is none. */
function countBlocks(tensors: SafetensorsHeader['tensors']): number {
  let count = 0;
  while (tensors.has(`visual.transformer.resblocks.${count}.ln_1.weight`)) count++;
  return count;
}

/** Known architectures whose image tower has the shapes of the file. */
function candidates({ tensors }: SafetensorsHeader): [string, VisionArchitecture][] {
  const shape = (name: string) => tensors.get(name)?.shape.join();
  const layers = countBlocks(tensors);
  return [...knownArchitectures].filter(([, known]) => {
    const { width, patchSize, embeddingDimension, mlpWidth } = known;
    return (
      layers === known.layers &&
      shape('visual.conv1.weight') === [width, 3, patchSize, patchSize].join() &&
      shape('visual.positional_embedding') === [gridSide(known) ** 2 + 1, width].join() &&
      shape('visual.proj') === [width, embeddingDimension].join() &&
      shape('visual.transformer.resblocks.0.mlp.c_fc.weight') === [mlpWidth, width].join()
    );
  });
}

/** Whether the file's own metadata or its path says that these are OpenAI's weights, which use QuickGELU. */
function namesOpenAi({ file, metadata }: SafetensorsHeader): boolean {
  const parts = [
    path.basename(file),
    path.basename(path.dirname(path.resolve(file))),
    ...Object.values(metadata),
  ];
  return parts.some(part => /openai/i.test(part));
}

/**
 * Tells the architecture from the shapes of the tensors. Shapes do not show the activation: where weights with
 * either have been published, the word "openai" in the metadata, the file's name or its folder's name decides for
 * QuickGELU, and without it the choice is the user's, for the wrong one computes wrong numbers silently.
 *
 * @throws FileError when the shapes fit no known architecture, or fit two.
 */
export function inferArchitecture(header: SafetensorsHeader): {
  architecture: VisionArchitecture;
  warnings: string[];
} {
  const found = candidates(header);
  const [only] = found;
  if (only === undefined) {
    const convolution = header.tensors.get('visual.conv1.weight')?.shape.join(', ') ?? '';
    const facts = `visual.conv1.weight [${convolution}], ${countBlocks(header.tensors)} blocks`;
    throw new FileError(header.file, `its shapes (${facts}) are of no known architecture`, archAdvice);
  }
  if (found.length === 1) return { architecture: only[1], warnings: [] };
  const names = found.map(([name]) => name).join(' or ');
  const quick = found.find(([, known]) => known.activation === 'quickGelu');
  if (quick !== undefined && namesOpenAi(header)) {
    const warning = `${header.file} could be ${names}; its name or metadata says OpenAI, so it is read as ${quick[0]}. Pass --arch to decide otherwise.`;
    return { architecture: quick[1], warnings: [warning] };
  }
  throw new FileError(
    header.file,
    `it could be ${names}, which differ in their activation only, and the file does not say which`,
    'Pass --arch with the one that the weights were trained as',
  );
}
