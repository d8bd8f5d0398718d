/** A folder with everything that goes into the VSIX, laid out as it will be installed. */

import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Metafile } from 'esbuild';
import { modulesFor } from './installNatives.ts';
import { licenceTextNamed } from './licences.ts';
import { copyNativePackages, externalPackages, findNativePackages } from './nativePackages.ts';
import { bundledFolders, describePackage, loadedPackages, thirdPartyNotices } from './notices.ts';
import { pageOfInstalled } from './readme.ts';
import type { Target } from './targets.ts';

/** Copied as they are; `.vscodeignore` says which files of them are packaged. */
const copied = ['.vscodeignore', 'LICENSE', 'media'] as const;

/** Pages that VS Code shows. */
const pages = ['README.md', 'CHANGELOG.md'] as const;

/** Fields of `package.json` that are for the clone. */
const fieldsOfClone = ['private', 'scripts', 'dependencies', 'devDependencies'] as const;

/**
 * @param clone folder of the repository, with its packages installed.
 * @param scratch an empty folder; the stage is in it.
 * @returns the folder to package.
 */
export async function stagePackage(target: Target, clone: string, scratch: string): Promise<string> {
  const stage = path.join(scratch, 'extension');
  await mkdir(stage, { recursive: true });
  const metafile = await buildBundles(clone, path.join(stage, 'dist'), path.join(scratch, 'bundles.json'));
  const natives = await findNativePackages(
    await modulesFor(target, clone, path.join(scratch, 'natives')),
    target,
  );
  // Beside the bundles, where Node looks first; vsce asks npm about a `node_modules` at the top.
  await copyNativePackages(natives, path.join(stage, 'dist/node_modules'), target);
  const folders = [
    ...bundledFolders(metafile).map(folder => path.resolve(clone, folder)),
    ...natives.map(({ folder }) => folder),
  ];
  const notices = await thirdPartyNotices(
    await Promise.all(folders.map(describePackage)),
    await noticesOfFiles(target),
  );
  await writeFile(path.join(stage, 'THIRD-PARTY-NOTICES.txt'), notices);
  for (const name of copied) await cp(path.join(clone, name), path.join(stage, name), { recursive: true });
  for (const page of pages) {
    const text = await readFile(path.join(clone, page), 'utf8');
    await writeFile(path.join(stage, page), pageOfInstalled(text));
  }
  await writeManifest(clone, stage);
  return stage;
}

async function buildBundles(clone: string, folder: string, metafile: string): Promise<Metafile> {
  await promisify(execFile)(
    process.execPath,
    ['esbuild.mjs', '--production', '--out', folder, '--metafile', metafile],
    { cwd: clone },
  );
  const bundles: Metafile = JSON.parse(await readFile(metafile, 'utf8'));
  const forgotten = loadedPackages(bundles).filter(name => !externalPackages.some(known => known === name));
  if (forgotten.length === 0) return bundles;
  throw new Error(
    `the bundles load ${forgotten.join(', ')}, which the package does not hold: bundle it or add it to extension/packaging/nativePackages.ts`,
  );
}

/** On Windows onnxruntime-node holds files that are not under its licence. */
async function noticesOfFiles({ platform }: Target): Promise<Record<string, string>> {
  if (platform !== 'win32') return {};
  return { 'DirectX Shader Compiler': await licenceTextNamed('directx-shader-compiler.txt') };
}

async function writeManifest(clone: string, stage: string): Promise<void> {
  const manifest = JSON.parse(await readFile(path.join(clone, 'package.json'), 'utf8'));
  for (const field of fieldsOfClone) delete manifest[field];
  await writeFile(path.join(stage, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}
