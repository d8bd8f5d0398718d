import { createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { openPromise } from 'yauzl';
import { linkCudaLibraries } from './linkCuda.ts';
import { MissingToolError, runTool, SetupError } from './runTool.ts';

/** TensorFlow's wheels differ by Python's version only in parts that are not used here; any that has wheels will do. */
const pythonVersion = '3.12';

interface WheelOptions {
  /** Scratch folder. */
  scratch: string;
  signal: AbortSignal;
  /** Bytes downloaded by now. */
  received: (bytes: number) => void;
}

/** The libraries of a wheel as they were unpacked. */
export interface Libraries {
  tensorflow: string;
  cuda: string | null;
  cudnn: string | null;
}

/**
 * Fetches TensorFlow's wheel, and for CUDA those of NVIDIA that it names, and unpacks libraries and headers into `folder`
 * as they lie in a Python environment: TensorFlow's libraries look for those of CUDA beside them.
 */
export async function fetchLibraries(
  folder: string,
  cuda: boolean,
  options: WheelOptions,
): Promise<Libraries> {
  const python = await findPython(options);
  const [wheel] = await download(python, [cuda ? 'tensorflow' : 'tensorflow-cpu'], options);
  if (wheel === undefined) throw new SetupError('pip downloaded no TensorFlow');
  const first = (await stat(wheel)).size;
  await unpack(wheel, folder, wanted, options.signal);
  if (cuda) {
    const requirements = cudaRequirements(await readMetadata(folder));
    const rest = { ...options, received: (bytes: number) => options.received(first + bytes) };
    for (const requirement of await download(python, requirements, rest))
      await unpack(requirement, folder, wanted, options.signal);
    await linkCudaLibraries(folder);
  }
  return describeLibraries(path.basename(wheel), await readBuildInfo(folder));
}

/** Libraries, and of the headers those that the addon includes. */
const wanted =
  /^tensorflow\/(libtensorflow_(cc|framework)\.so\.\d+|include\/(tensorflow\/c\/|tensorflow\/core\/platform\/ctstring|tsl\/platform\/ctstring|xla\/tsl\/c\/).*\.h|python\/platform\/build_info\.py)$|^nvidia\/[\w.-]+\/lib\/[\w.-]+$|^tensorflow[\w.-]*\.dist-info\/METADATA$/;

/** A Python that has pip. */
async function findPython({ scratch, signal }: WheelOptions): Promise<string> {
  for (const name of ['python3', 'python']) {
    try {
      await runTool(name, ['-m', 'pip', '--version'], { cwd: scratch, signal });
      return name;
    } catch (error) {
      if (!(error instanceof SetupError) || signal.aborted) throw error;
    }
  }
  throw new MissingToolError(
    'Python with pip is needed to fetch TensorFlow, and there is none here: install it (Debian, Ubuntu: sudo apt install python3-pip) and try again',
  );
}

/** Wheels for this machine, whatever Python runs pip. */
async function download(
  python: string,
  requirements: readonly string[],
  { scratch, signal, received }: WheelOptions,
): Promise<string[]> {
  const [wheels, temporary] = [path.join(scratch, 'wheels'), path.join(scratch, 'pip')];
  for (const folder of [wheels, temporary]) await mkdir(folder, { recursive: true });
  const before = new Set(await readdir(wheels));
  const platforms = manylinuxPlatforms().flatMap(platform => ['--platform', platform]);
  const watch = setInterval(() => void folderSize(temporary).then(received), 1000);
  try {
    await runTool(
      python,
      [
        ...['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--no-cache-dir'],
        ...['--progress-bar', 'off', '--disable-pip-version-check', '--no-input', '--dest', wheels],
        ...['--python-version', pythonVersion, '--implementation', 'cp', ...platforms, ...requirements],
      ],
      { cwd: scratch, signal, environment: { ...process.env, TMPDIR: temporary } },
    );
  } finally {
    clearInterval(watch);
  }
  const names = (await readdir(wheels)).filter(name => !before.has(name) && name.endsWith('.whl'));
  return names.map(name => path.join(wheels, name));
}

const architectures: Partial<Record<NodeJS.Architecture, string>> = { x64: 'x86_64', arm64: 'aarch64' };

/** Whether TensorFlow has wheels with libraries for C programs here. */
export const hasWheels = (): boolean =>
  process.platform === 'linux' && architectures[process.arch] !== undefined && glibcMinor() !== null;

/** The platforms of wheels that this machine's C library can load, newest first. */
function manylinuxPlatforms(): string[] {
  const architecture = architectures[process.arch]!;
  const newest = glibcMinor() ?? 17;
  const tags = Array.from(
    { length: Math.max(0, newest - 16) },
    (_, index) => `manylinux_2_${newest - index}`,
  );
  return [...tags, 'manylinux2014', 'manylinux2010'].map(tag => `${tag}_${architecture}`);
}

/** The n of glibc 2.n; null on another C library. */
function glibcMinor(): number | null {
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  const minor = Number(header?.glibcVersionRuntime?.split('.')[1]);
  return Number.isInteger(minor) ? minor : null;
}

async function folderSize(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true }).catch((): string[] => []);
  const sizes = entries.map(entry =>
    stat(path.join(folder, entry)).then(
      status => (status.isFile() ? status.size : 0),
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** Unpacks the entries that match and deletes the wheel. yauzl refuses names that leave the folder. */
async function unpack(wheel: string, folder: string, matching: RegExp, signal: AbortSignal): Promise<void> {
  const zip = await openPromise(wheel, { lazyEntries: true });
  for await (const entry of zip.eachEntry()) {
    signal.throwIfAborted();
    if (!matching.test(entry.fileName)) continue;
    const file = path.join(folder, ...entry.fileName.split('/'));
    await mkdir(path.dirname(file), { recursive: true });
    await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(file), { signal });
  }
  await rm(wheel);
}

async function readMetadata(folder: string): Promise<string> {
  const information = (await readdir(folder)).find(name => name.endsWith('.dist-info'));
  if (information === undefined) throw new SetupError('TensorFlow’s wheel lacks its metadata');
  return readFile(path.join(folder, information, 'METADATA'), 'utf8');
}

/** NVIDIA's wheels that TensorFlow names for CUDA, but for the compiler, which nothing here calls. */
export function cudaRequirements(metadata: string): string[] {
  const found = [...metadata.matchAll(/^Requires-Dist: (nvidia-[^;\s]+)\s*; extra == "and-cuda"/gm)];
  const requirements = found.map(match => match[1]!).filter(name => !name.startsWith('nvidia-cuda-nvcc'));
  if (requirements.length === 0) throw new SetupError('TensorFlow’s wheel names no CUDA libraries');
  return requirements;
}

const readBuildInfo = (folder: string): Promise<string> =>
  readFile(path.join(folder, 'tensorflow', 'python', 'platform', 'build_info.py'), 'utf8');

/** What a wheel's name and its record of the build say. */
export function describeLibraries(wheelName: string, buildInfo: string): Libraries {
  const recorded = (key: string): string | null =>
    new RegExp(`'${key}', '([\\d.]+)'`).exec(buildInfo)?.[1] ?? null;
  return {
    tensorflow: wheelName.split('-')[1] ?? 'unknown',
    cuda: recorded('cuda_version'),
    cudnn: recorded('cudnn_version'),
  };
}
