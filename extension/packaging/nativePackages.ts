/** The npm packages that cannot be bundled, as one platform needs them. */

import { cp, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Target } from './targets.ts';

export interface NativePackage {
  name: string;
  /** Folder of the installed package. */
  folder: string;
  /** Where the package belongs, below `node_modules`. */
  place: string;
}

interface PackageJson {
  name: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  os?: string[];
  cpu?: string[];
  libc?: string[];
}

/** What the bundles leave outside (`external` of `esbuild.mjs`). */
export const externalPackages = ['koffi', 'onnxruntime-common', 'onnxruntime-node', 'sharp'] as const;

/** Used by the packages' install scripts alone, which download what this extension does not use. */
const usedAtInstallation = new Set(['adm-zip', 'global-agent']);

async function readPackage(folder: string): Promise<PackageJson | null> {
  try {
    return JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8'));
  } catch {
    return null;
  }
}

const suits = (wanted: readonly string[] | undefined, value: string): boolean =>
  wanted === undefined || wanted.includes(value);

const isFor = (manifest: PackageJson, { platform, architecture }: Target): boolean =>
  suits(manifest.os, platform) && suits(manifest.cpu, architecture) && suits(manifest.libc, 'glibc');

/** Finds a dependency as Node does: nested in the package that asks, then at the top. */
async function resolveFrom(modules: string, parent: string, name: string) {
  const places = parent === '' ? [name] : [path.posix.join(parent, 'node_modules', name), name];
  for (const place of places) {
    const folder = path.join(modules, place);
    const manifest = await readPackage(folder);
    if (manifest !== null) return { name, folder, place, manifest };
  }
  return null;
}

/**
 * The external packages and everything they load, sorted by place.
 *
 * @param modules a `node_modules` folder, installed for the target.
 * @throws an error that names the package that is missing there.
 */
export async function findNativePackages(modules: string, target: Target): Promise<NativePackage[]> {
  const found = new Map<string, NativePackage>();
  const visit = async (parent: string, name: string): Promise<void> => {
    const resolved = await resolveFrom(modules, parent, name);
    if (resolved === null) throw new Error(`${name} is not installed in ${modules}: run npm ci`);
    const { manifest, ...entry } = resolved;
    if (found.has(entry.place)) return;
    found.set(entry.place, entry);
    // npm repeats optional dependencies among the others.
    const optional = Object.keys(manifest.optionalDependencies ?? {});
    const needed = Object.keys(manifest.dependencies ?? {}).filter(
      dependency => !optional.includes(dependency) && !usedAtInstallation.has(dependency),
    );
    for (const dependency of needed) await visit(entry.place, dependency);
    const binaries = await binariesFor(modules, entry.place, optional, target);
    if (optional.length > 0 && binaries.length === 0)
      throw new Error(`no binary of ${name} for ${target.name} is installed in ${modules}: run npm ci`);
    for (const binary of binaries) await visit(entry.place, binary);
  };
  for (const name of externalPackages) await visit('', name);
  return [...found.values()].sort((a, b) => (a.place < b.place ? -1 : 1));
}

async function binariesFor(modules: string, parent: string, names: readonly string[], target: Target) {
  const resolved = await Promise.all(names.map(name => resolveFrom(modules, parent, name)));
  return resolved.flatMap(one => (one !== null && isFor(one.manifest, target) ? [one.name] : []));
}

/** Sources, declarations, maps and handbooks. */
const notRun = /\.(?:map|md|(?:d\.)?[cm]?ts|h|hh|cc|inc|S|asm|def|gyp|lib|exp)$|\/CMakeLists\.txt$/;

/** What builds and installs packages, or is read by no one at run time. */
const foldersNotRun =
  /\/(?:onnxruntime-node\/(?:script|lib)|sharp\/(?:src|install|lib)|koffi\/(?:doc|lib|vendor|cnoke\.cjs)|@img\/[^/]+\/lib\/glib-2\.0)(?:\/|$)/;

/**
 * ONNX Runtime's providers for CUDA, TensorRT and DirectML, which no engine here uses; the Mac library, which lies there
 * twice; koffi for musl.
 */
const binariesNotLoaded =
  /\/(?:(?:lib)?onnxruntime_providers_[^/]+|DirectML\.dll|libonnxruntime\.\d+\.\d+\.\d+\.dylib|musl_[^/]+)$/;

/**
 * Whether a file or folder of a native package, or something in it, is loaded when the extension runs. Licences stay.
 *
 * @param file Its path below `node_modules`, with `/` before each name.
 */
export function isLoadedOn({ platform, architecture }: Target, file: string): boolean {
  const [, ofPlatform = platform, ofArchitecture = architecture] =
    /\/onnxruntime-node\/bin\/[^/]+\/([^/]+)(?:\/([^/]+))?/.exec(file) ?? [];
  if (ofPlatform !== platform || ofArchitecture !== architecture) return false;
  if (/\/licen[cs]e[^/]*$/i.test(file) && !foldersNotRun.test(file)) return true;
  return ![notRun, foldersNotRun, binariesNotLoaded].some(pattern => pattern.test(file));
}

/** Copies packages to where Node finds them from beside `modules`. */
export async function copyNativePackages(
  packages: readonly NativePackage[],
  modules: string,
  target: Target,
): Promise<void> {
  for (const { folder, place } of packages) {
    const inPackages = (source: string): string =>
      `/${[place, ...path.relative(folder, source).split(path.sep)].join('/')}`;
    await cp(folder, path.join(modules, place), {
      recursive: true,
      filter: source => isLoadedOn(target, inPackages(source)) && !isNested(folder, source),
    });
  }
}

/** Packages nested in a package are found, filtered and copied on their own. */
const isNested = (folder: string, source: string): boolean =>
  path.relative(folder, source).split(path.sep).includes('node_modules');
