import type { HostTensor } from '../checkpoints/hostTensor.ts';
import { sizeOf } from '../graph/shape.ts';
import { visionTensorShapes } from '../models/architecture.ts';
import { textTensorShapes } from '../models/tensorShapes.ts';
import { keyedRandom } from '../random.ts';
import { logitScaleName } from './contrastiveLoss.ts';
import type { DualEncoder } from './dualEncoder.ts';

/** CLIP's initial temperature. */
const initialTemperature = 0.07;

/**
 * Standard deviation of a few hundred word tokens. CLIP's 0.02 suits 49,408 of them; so few are told apart sooner when
 * they start apart.
 */
const wordDeviation = 0.4;

/**
 * Weights that an untrained model starts from, by checkpoint name: as OpenCLIP draws them, with word tokens further
 * apart. The same seed gives the same bits.
 */
export function initialWeights({ image, text }: DualEncoder, seed: number): Map<string, HostTensor> {
  const weights = new Map<string, HostTensor>();
  const add = (name: string, shape: readonly number[], deviation: number): void => {
    weights.set(name, { shape: [...shape], dtype: 'float32', data: draw(seed, name, shape, deviation) });
  };
  for (const [name, shape] of visionTensorShapes(image))
    add(name, shape, deviationOf(name, shape, image.width, image.layers));
  const { architecture, embeddingDimension } = text;
  for (const [name, shape] of textTensorShapes(architecture, embeddingDimension))
    add(name, shape, deviationOf(name, shape, architecture.width, architecture.layers));
  const scale = Float32Array.of(Math.log(1 / initialTemperature));
  weights.set(logitScaleName, { shape: [], dtype: 'float32', data: scale });
  return weights;
}

/** Standard deviation of a tensor's initial values; 0 for biases. */
function deviationOf(name: string, shape: readonly number[], width: number, layers: number): number {
  if (name.endsWith('bias')) return 0;
  if (name === 'token_embedding.weight') return wordDeviation;
  if (name === 'positional_embedding') return 0.01;
  if (name.endsWith('conv1.weight')) return 1 / Math.sqrt(3 * shape[1]! * shape[2]! * shape[3]!);
  if (name.endsWith('out_proj.weight') || name.endsWith('c_proj.weight'))
    return 1 / Math.sqrt(width * 2 * layers);
  if (name.endsWith('c_fc.weight')) return 1 / Math.sqrt(2 * width);
  return 1 / Math.sqrt(width);
}

function draw(seed: number, name: string, shape: readonly number[], deviation: number): Float32Array {
  const data = new Float32Array(sizeOf(shape));
  // Norms start as the identity.
  if (/ln_\w+\.weight$/.test(name)) return data.fill(1);
  if (deviation === 0) return data;
  const random = keyedRandom(seed, 'initial weights', name);
  for (let index = 0; index < data.length; index++)
    data[index] =
      deviation * Math.sqrt(-2 * Math.log(1 - random.float())) * Math.cos(2 * Math.PI * random.float());
  return data;
}
