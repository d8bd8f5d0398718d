import path from 'node:path';
import { type VisionArchitecture, visionTensorShapes } from '../models/architecture.ts';
import type { CheckpointHeader } from './checkpointTypes.ts';
import { FileError } from './fileError.ts';
import { knownArchitectures } from './knownArchitectures.ts';

const archAdvice = 'Pass --arch with a known name or the path of an open_clip_config.json';

/** Tensors that give away other layouts than those of OpenAI, OpenCLIP and EVA-02 CLIP. */
const foreignLayouts: readonly (readonly [tensor: string, layout: string])[] = [
  ['visual.trunk.patch_embed.proj.weight', 'a timm image tower'],
  ['visual.blocks.0.attn.qkv.weight', 'the image tower of an EVA-CLIP before EVA-02'],
  ['visual.stem.0.weight', 'a convolutional image tower'],
];

/**
 * Refuses weights whose tensor names show another layout than the one this version reads.
 *
 * @throws FileError saying which layout it is and what to use instead.
 */
export function checkLayout({ file, tensors }: Pick<CheckpointHeader, 'file' | 'tensors'>): void {
  const advice =
    'Use an OpenAI or OpenCLIP vision transformer with OpenCLIP tensor names (visual.conv1.weight, …)';
  for (const [tensor, layout] of foreignLayouts) {
    if (tensors.has(tensor))
      throw new FileError(file, `it holds ${layout}, which this version does not read`, advice);
  }
  if (!tensors.has('visual.conv1.weight') && !tensors.has('visual.patch_embed.proj.weight')) {
    const names = [...tensors.keys()].slice(0, 3).map(name => `'${name.slice(0, 80)}'`);
    const found = names.length === 0 ? 'it is empty' : `it starts with ${names.join(', ')}`;
    throw new FileError(
      file,
      `it holds no CLIP image tower: no tensor 'visual.conv1.weight', ${found}`,
      advice,
    );
  }
  if (tensors.has('visual.ln_pre.weight') && !tensors.has('visual.proj'))
    throw new FileError(
      file,
      "it lacks the projection into the space of images and texts ('visual.proj'; 'visual_projection.weight' in Hugging Face's files)",
      'Use a whole CLIP model, or an image tower saved with its projection',
    );
}

/** Blocks of a transformer, or bottlenecks of all stages of a ResNet, by the tensor that each of them has. */
function countBlocks(tensors: CheckpointHeader['tensors']): number {
  const block =
    /^visual\.(transformer\.resblocks\.\d+\.ln_1|blocks\.\d+\.norm1|layer\d\.\d+\.conv1)\.weight$/;
  return [...tensors.keys()].filter(name => block.test(name)).length;
}

const blockCount = (known: VisionArchitecture): number =>
  known.kind === 'resnet' ? known.stages.reduce((sum, count) => sum + count, 0) : known.layers;

/** Tensors whose shapes tell towers of one family apart. */
const tellingTensors = [
  'visual.conv1.weight',
  'visual.positional_embedding',
  'visual.proj',
  'visual.transformer.resblocks.0.mlp.c_fc.weight',
  'visual.patch_embed.proj.weight',
  'visual.pos_embed',
  'visual.head.weight',
  'visual.blocks.0.mlp.w1.weight',
  'visual.attnpool.positional_embedding',
  'visual.attnpool.c_proj.weight',
];

/** Known architectures whose image tower has the shapes of the file. */
function candidates({ tensors }: CheckpointHeader): [string, VisionArchitecture][] {
  const blocks = countBlocks(tensors);
  return [...knownArchitectures].filter(([, known]) => {
    if (blockCount(known) !== blocks) return false;
    const shapes = visionTensorShapes(known);
    return tellingTensors.every(name => tensors.get(name)?.shape.join() === shapes.get(name)?.join());
  });
}

/** Buffers that OpenAI's own archives hold, and nobody else's. */
const openAiBuffers = ['input_resolution', 'context_length', 'vocab_size'];

/** Whether the file's form, its own metadata or its path says that these are OpenAI's weights, which use QuickGELU. */
function namesOpenAi({ file, metadata, tensors }: CheckpointHeader): boolean {
  if (openAiBuffers.every(name => tensors.has(name))) return true;
  const parts = [
    path.basename(file),
    path.basename(path.dirname(path.resolve(file))),
    ...Object.values(metadata),
  ];
  return parts.some(part => /openai/i.test(part));
}

export interface InferredArchitecture {
  architecture: VisionArchitecture;
  /** False when it may be another in the text tower, which has an activation where the image tower has none. */
  activationKnown: boolean;
  warnings: string[];
}

/**
 * Tells the architecture from the shapes of the tensors. Shapes do not show the activation: where weights with
 * either have been published, the word "openai" in the metadata, the file's name or its folder's name decides for
 * QuickGELU, and without it the choice is the user's, for the wrong one computes wrong numbers silently. The image tower
 * of a ResNet has no such activation: it is read without asking, and only its text tower's activation stays open.
 *
 * @throws FileError when the shapes fit no known architecture, or fit two.
 */
export function inferArchitecture(header: CheckpointHeader): InferredArchitecture {
  const found = candidates(header);
  const [only] = found;
  if (only === undefined) {
    const first = tellingTensors.find(name => header.tensors.has(name)) ?? '';
    const shape = header.tensors.get(first)?.shape.join(', ') ?? '';
    const facts = `${first} [${shape}], ${countBlocks(header.tensors)} blocks`;
    throw new FileError(header.file, `its shapes (${facts}) are of no known architecture`, archAdvice);
  }
  if (found.length === 1) return { architecture: only[1], activationKnown: true, warnings: [] };
  const names = found.map(([name]) => name).join(' or ');
  const quick = found.find(([, known]) => known.activation === 'quickGelu');
  if (quick !== undefined && namesOpenAi(header)) {
    const warning = `${header.file} could be ${names}; its name, form or metadata says OpenAI, so it is read as ${quick[0]}. Pass --arch to decide otherwise.`;
    return { architecture: quick[1], activationKnown: true, warnings: [warning] };
  }
  if (quick?.[1].kind === 'resnet') {
    const warning = `${header.file} could be ${names}, whose image towers are the same. It is called ${quick[0]}, as OpenAI's weights are; only what reads texts needs --arch.`;
    return { architecture: quick[1], activationKnown: false, warnings: [warning] };
  }
  throw new FileError(
    header.file,
    `it could be ${names}, which differ in their activation only, and the file does not say which`,
    'Pass --arch with the one that the weights were trained as',
  );
}
