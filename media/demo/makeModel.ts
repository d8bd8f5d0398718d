/**
 * Writes the tiny random CLIP of the demo in OpenCLIP's checkpoint format: `npx tsx media/demo/makeModel.ts`. The same
 * seed gives the same bytes. It knows nothing about images; it shows the mechanics of a run in seconds.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { HostTensor } from '../../trainer/checkpoints/hostTensor.ts';
import { writeJson } from '../../trainer/checkpoints/jsonFile.ts';
import {
  clipNormalisation,
  parseOpenClipConfiguration,
  toOpenClipConfiguration,
} from '../../trainer/checkpoints/openClipConfiguration.ts';
import { writeSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { visionTensorShapes } from '../../trainer/models/architecture.ts';
import { type KeyedRandom, keyedRandom } from '../../trainer/random.ts';

const configurationFile = 'open_clip_config.json';
const text = { context_length: 16, vocab_size: 256, width: 64, heads: 2, layers: 1 };

const { architecture } = parseOpenClipConfiguration(
  {
    model_cfg: {
      embed_dim: 64,
      vision_cfg: { image_size: 64, layers: 4, width: 128, head_width: 32, patch_size: 8 },
      text_cfg: text,
    },
  },
  configurationFile,
);

/** Names and shapes of OpenCLIP's text tower. */
function textTensorShapes(): Map<string, number[]> {
  const { width, layers, vocab_size: vocabulary, context_length: context } = text;
  const shapes = new Map<string, number[]>([
    ['token_embedding.weight', [vocabulary, width]],
    ['positional_embedding', [context, width]],
    ['ln_final.weight', [width]],
    ['ln_final.bias', [width]],
    ['text_projection', [width, architecture.embeddingDimension]],
  ]);
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `transformer.resblocks.${layer}`;
    for (const [name, shape] of Object.entries({
      'ln_1.weight': [width],
      'ln_1.bias': [width],
      'attn.in_proj_weight': [3 * width, width],
      'attn.in_proj_bias': [3 * width],
      'attn.out_proj.weight': [width, width],
      'attn.out_proj.bias': [width],
      'ln_2.weight': [width],
      'ln_2.bias': [width],
      'mlp.c_fc.weight': [4 * width, width],
      'mlp.c_fc.bias': [4 * width],
      'mlp.c_proj.weight': [width, 4 * width],
      'mlp.c_proj.bias': [width],
    }))
      shapes.set(`${prefix}.${name}`, shape);
  }
  return shapes;
}

/** A sample of the standard normal distribution (Box–Muller). */
const normal = (random: KeyedRandom): number =>
  Math.sqrt(-2 * Math.log(1 - random.float())) * Math.cos(2 * Math.PI * random.float());

/** Norms start as the identity, biases at zero, matrices with the spread that keeps a token's size. */
function initialise(name: string, shape: readonly number[]): HostTensor {
  const size = shape.reduce((product, length) => product * length, 1);
  const data = new Float32Array(size);
  const random = keyedRandom(7, name);
  if (/ln_\w+\.weight$/.test(name)) data.fill(1);
  else if (!name.endsWith('bias')) {
    const fanIn = shape.length === 4 ? size / shape[0]! : name.endsWith('proj') ? shape[0]! : shape.at(-1)!;
    for (let index = 0; index < size; index++) data[index] = normal(random) / Math.sqrt(fanIn);
  }
  return { shape: [...shape], dtype: 'float32', data };
}

const folder = process.argv[2] ?? fileURLToPath(new URL('./model', import.meta.url));
const tensors = new Map<string, HostTensor>();
for (const [name, shape] of [...visionTensorShapes(architecture), ...textTensorShapes()])
  tensors.set(name, initialise(name, shape));
tensors.set('logit_scale', { shape: [], dtype: 'float32', data: Float32Array.of(Math.log(1 / 0.07)) });

await mkdir(folder, { recursive: true });
await writeSafetensors(path.join(folder, 'open_clip_model.safetensors'), tensors, { format: 'pt' });
await writeJson(
  path.join(folder, configurationFile),
  toOpenClipConfiguration({ architecture, normalisation: clipNormalisation }),
);
