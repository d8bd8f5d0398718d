import util from 'node:util';
import {
  findInstallation,
  type Installation,
  installationFolder,
  requireFrom,
  tf32Variable,
} from './installation.ts';
import { TensorflowEngine } from './tensorflowEngine.ts';
import type { Tfjs } from './tfjs.ts';

/** The engine was asked for where it cannot run; the message says why and what to do. */
export class TensorflowUnavailableError extends Error {
  override readonly name = 'TensorflowUnavailableError';
}

const withoutCard =
  "TensorFlow was installed for graphics cards and computes on the processor here: 'clipself doctor' says why";

const advice = "Install it with 'clipself setup-tensorflow', or choose another engine";

/** What `@tensorflow/tfjs-node` adds to the library: the backend that holds the native binding. */
interface NativeTfjs extends Tfjs {
  backend(): unknown;
  enableProdMode(): void;
  version: Readonly<Record<string, string>>;
}

/**
 * Loads the installed TensorFlow and makes an engine on it. A process loads it once.
 *
 * @param threads threads of one kernel on the processor; 0 leaves the number to TensorFlow.
 * @throws TensorflowUnavailableError
 */
export async function loadTensorflow(
  threads: number,
  folder = installationFolder(),
): Promise<{ tf: Tfjs; engine: TensorflowEngine }> {
  const state = await findInstallation(folder);
  if (!state.installed) throw new TensorflowUnavailableError(`${state.reason}. ${advice}`);
  prepareEnvironment(process.env, threads);
  const tf = load(state.installation);
  const idle = state.installation.cuda !== null && !(tf.backend() as NativeBackend).isUsingGpuDevice;
  return {
    tf,
    engine: new TensorflowEngine(tf, describeEngine(tf, process.env), idle ? withoutCard : undefined),
  };
}

/** What TensorFlow and CUDA read while they load. What the user has set stays. */
function prepareEnvironment(environment: NodeJS.ProcessEnv, threads: number): void {
  // Otherwise TensorFlow takes all memory of the card at once.
  environment.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true';
  // Unasked, TensorFlow lets Ampere cards and newer round products to 10 bits; CUDA's libraries read this and obey.
  if (environment[tf32Variable] !== '1') environment.NVIDIA_TF32_OVERRIDE ??= '0';
  // Warnings and errors stay; what is left out is a page of information at every start.
  environment.TF_CPP_MIN_LOG_LEVEL ??= '1';
  if (threads > 0) environment.TF_NUM_INTRAOP_THREADS ??= String(threads);
}

function load(installation: Installation): NativeTfjs {
  restoreOldUtilities();
  try {
    const tf = requireFrom(installation)(installation.package) as NativeTfjs;
    tf.enableProdMode();
    return tf;
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new TensorflowUnavailableError(
      `TensorFlow in ${installation.folder} does not load: ${reason}. Install it again with 'clipself setup-tensorflow'`,
    );
  }
}

/** `tfjs-node` calls two functions of `node:util` that Node 23 has removed. */
function restoreOldUtilities(): void {
  const old = util as { isNullOrUndefined?: unknown; isArray?: unknown };
  old.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  old.isArray ??= Array.isArray;
}

interface NativeBackend {
  isUsingGpuDevice: boolean;
  binding: { TF_Version: string };
}

function describeEngine(tf: NativeTfjs, environment: NodeJS.ProcessEnv): string {
  const { binding, isUsingGpuDevice } = tf.backend() as NativeBackend;
  const tf32 = environment.NVIDIA_TF32_OVERRIDE === '0' ? '' : ' with TF32';
  const device = isUsingGpuDevice ? `CUDA${tf32}` : 'CPU';
  return `tensorflow ${binding.TF_Version} (${device}), tfjs-node ${tf.version['tfjs-node']}`;
}
