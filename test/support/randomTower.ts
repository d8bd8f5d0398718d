import type { DeviceTensor, Engine } from '../../trainer/engines/engine.ts';
import { type VisionArchitecture, visionTensorShapes } from '../../trainer/models/architecture.ts';
import { keyedRandom } from '../../trainer/random.ts';

/** Numbers from −scale to scale. */
export const uniform = (size: number, scale: number, seed: number): Float32Array => {
  const random = keyedRandom(seed);
  return Float32Array.from({ length: size }, () => (2 * random.float() - 1) * scale);
};

/** Weights with the spread of an initialised tower; norms start as the identity. */
export function randomWeights(engine: Engine, architecture: VisionArchitecture): Map<string, DeviceTensor> {
  const weights = new Map<string, DeviceTensor>();
  for (const [name, shape] of visionTensorShapes(architecture)) {
    const size = shape.reduce((product, length) => product * length, 1);
    const isScale = /ln_\w+\.weight$/.test(name);
    const data = isScale ? new Float32Array(size).fill(1) : uniform(size, 0.03, weights.size);
    weights.set(name, engine.upload(shape, data));
  }
  return weights;
}
