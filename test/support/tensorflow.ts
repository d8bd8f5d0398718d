import * as core from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { TensorflowEngine } from '../../trainer/engines/tensorflow/tensorflowEngine.ts';

// Without it the library prints an advertisement for its native package.
core.enableProdMode();

/** TensorFlow.js on its backend in plain JavaScript: slow, and runs wherever the tests do. */
export async function testTensorflow(): Promise<TensorflowEngine> {
  await core.setBackend('cpu');
  return new TensorflowEngine(core, `tfjs ${core.version_core}, JavaScript`);
}

/** Tensors that TensorFlow.js holds, whoever made them. */
export const heldTensors = (): number => core.memory().numTensors;
