import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { MissingToolError, runTool } from './runTool.ts';

/** Version of N-API that `tfjs-node` looks for; Node 20 and VS Code's own Node have it. */
const nodeApi = 8;

interface AddonOptions {
  /** The installation, with npm's packages and `libraries`. */
  folder: string;
  package: string;
  signal: AbortSignal;
}

/**
 * Compiles the addon of `tfjs-node` against TensorFlow's libraries in `libraries`. Node's headers come from the npm package
 * `node-api-headers`: the addon uses N-API alone, so one build serves every Node, also that of VS Code, and node-gyp, which
 * would fetch headers of one version, is not needed.
 */
export async function buildAddon({ folder, package: name, signal }: AddonOptions): Promise<void> {
  const source = path.join(folder, 'node_modules', name);
  const target = path.join(source, 'lib', `napi-v${nodeApi}`);
  const libraries = path.join(folder, 'libraries', 'tensorflow');
  await mkdir(target, { recursive: true });
  // The addon finds the libraries from where it lies, so that the installation may be moved.
  const search = `$ORIGIN/${path.relative(target, libraries)}`;
  await compile(
    [
      ...['-shared', '-fPIC', '-O2', '-std=c++17', '-w'],
      ...[`-DNAPI_VERSION=${nodeApi}`, '-DNODE_GYP_MODULE_NAME=tfjs_binding', '-DBUILDING_NODE_EXTENSION'],
      `-I${path.join(folder, 'node_modules', 'node-api-headers', 'include')}`,
      `-I${path.join(libraries, 'include')}`,
      ...['binding/tfjs_backend.cc', 'binding/tfjs_binding.cc'],
      ...[`-L${libraries}`, '-l:libtensorflow_cc.so.2', '-l:libtensorflow_framework.so.2'],
      ...[`-Wl,-rpath,${search}`, '-o', path.join(target, 'tfjs_binding.node')],
    ],
    source,
    signal,
  );
}

async function compile(args: readonly string[], cwd: string, signal: AbortSignal): Promise<void> {
  const { CXX } = process.env;
  for (const compiler of [...(CXX ? [CXX] : []), 'c++', 'g++', 'clang++']) {
    try {
      await runTool(compiler, args, { cwd, signal });
      return;
    } catch (error) {
      if (!(error instanceof MissingToolError)) throw error;
    }
  }
  throw new MissingToolError(
    'a C++ compiler is needed to build the addon, and there is none here: install one (Debian, Ubuntu: sudo apt install g++) and try again',
  );
}
