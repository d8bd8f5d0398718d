import { runTool, SetupError } from './setup/runTool.ts';
import { talkative, whyNoCard } from './whyNoCard.ts';

/** What a loaded TensorFlow is and computes on. */
export interface TriedTensorflow {
  tensorflow: string;
  /** Whether it has taken a card. */
  gpu: boolean;
  /** Why not, and what to do; null on a card. */
  noCard: string | null;
}

const script = `
  const util = require('node:util');
  util.isNullOrUndefined ??= value => value == null;
  util.isArray ??= Array.isArray;
  const tf = require(process.argv[1]);
  const product = tf.matMul(tf.tensor2d([[1, 2], [3, 4]]), tf.tensor2d([[5, 6], [7, 8]]));
  const { binding, isUsingGpuDevice } = tf.backend();
  console.log('found ' + JSON.stringify({
    right: Array.from(product.dataSync()).join() === '19,22,43,50',
    tensorflow: binding.TF_Version,
    gpu: isUsingGpuDevice,
  }));
`;

/**
 * Loads an installation in a process of its own and multiplies two matrices.
 *
 * @param folder the installation.
 * @param name npm package that loads it.
 * @throws SetupError when it does not load or computes something else.
 */
export async function tryTensorflow(
  folder: string,
  name: string,
  signal: AbortSignal,
): Promise<TriedTensorflow> {
  let said = '';
  const printed = await runTool(process.execPath, ['-e', script, name], {
    cwd: folder,
    signal,
    environment: { ...process.env, ...talkative, TF_FORCE_GPU_ALLOW_GROWTH: 'true' },
    heard: text => {
      said += text;
    },
  });
  const line = printed.split('\n').find(text => text.startsWith('found '));
  const { right, tensorflow, gpu } = JSON.parse(line?.slice('found '.length) ?? '{}') as Record<
    string,
    unknown
  >;
  if (right !== true || typeof tensorflow !== 'string')
    throw new SetupError('the installed TensorFlow gives a wrong product');
  return { tensorflow, gpu: gpu === true, noCard: gpu === true ? null : whyNoCard(said) };
}
