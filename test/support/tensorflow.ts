import type { TensorflowEngine as Engine } from '../../trainer/engines/tensorflow/tensorflowEngine.ts';
import type { Tfjs } from '../../trainer/engines/tensorflow/tfjs.ts';

/** Set by the check that runs the tests of the engine on an installed TensorFlow. */
const installed = process.env.CLIPSELF_TEST_TENSORFLOW === 'installed';

let library: Tfjs | undefined;

/**
 * The TensorFlow engine on TensorFlow.js in plain JavaScript, slow and without an installation, or on the installed
 * TensorFlow. The two cannot be loaded into one process.
 */
export async function testTensorflow(): Promise<Engine> {
  if (installed) {
    const { loadTensorflow } = await import('../../trainer/engines/tensorflow/loadTensorflow.ts');
    const { tf, engine } = await loadTensorflow(2);
    library = tf;
    return engine;
  }
  const { TensorflowEngine } = await import('../../trainer/engines/tensorflow/tensorflowEngine.ts');
  const core = await import('@tensorflow/tfjs-core');
  await import('@tensorflow/tfjs-backend-cpu');
  // Without it the library prints an advertisement for its native package.
  core.enableProdMode();
  await core.setBackend('cpu');
  library = core;
  return new TensorflowEngine(core, `tfjs ${core.version_core}, JavaScript`);
}

/** Tensors that TensorFlow.js holds, whoever made them. */
export const heldTensors = (): number => library?.memory().numTensors ?? 0;
