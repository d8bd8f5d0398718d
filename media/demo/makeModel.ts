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
import { textTensorShapes } from '../../trainer/models/tensorShapes.ts';
import { type KeyedRandom, keyedRandom } from '../../trainer/random.ts';
import { demoTokenizer } from './vocabulary.ts';

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

if (architecture.text.kind !== 'clip') throw new Error('the demo has a text tower');
const textShapes = textTensorShapes(architecture.text, architecture.embeddingDimension);

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
for (const [name, shape] of [...visionTensorShapes(architecture), ...textShapes])
  tensors.set(name, initialise(name, shape));
tensors.set('logit_scale', { shape: [], dtype: 'float32', data: Float32Array.of(Math.log(1 / 0.07)) });

await mkdir(folder, { recursive: true });
await writeSafetensors(path.join(folder, 'open_clip_model.safetensors'), tensors, { format: 'pt' });
await writeJson(
  path.join(folder, configurationFile),
  toOpenClipConfiguration({ architecture, normalisation: clipNormalisation }),
);
await writeJson(path.join(folder, 'tokenizer.json'), demoTokenizer(text.vocab_size));
