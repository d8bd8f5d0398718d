/** THIRD-PARTY-NOTICES.txt: every package whose code is in the VSIX, with its licence. */

import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import type { Metafile } from 'esbuild';
import { checkLicence, licenceText, type ShippedPackage } from './licences.ts';

/** The innermost package folder of an input, such as `node_modules/a/node_modules/@b/c`. */
const packageFolder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/;

/** Folders of the packages of which the bundles hold code, relative to where esbuild ran. */
export function bundledFolders({ outputs }: Pick<Metafile, 'outputs'>): string[] {
  const folders = new Set<string>();
  for (const { inputs } of Object.values(outputs)) {
    for (const [input, { bytesInOutput }] of Object.entries(inputs)) {
      const folder = packageFolder.exec(input)?.[0];
      if (folder !== undefined && bytesInOutput > 0) folders.add(folder);
    }
  }
  return [...folders].sort();
}

/** Names of the packages that the bundles load when they run. */
export function loadedPackages({ outputs }: Pick<Metafile, 'outputs'>): string[] {
  const names = new Set<string>();
  for (const { imports } of Object.values(outputs)) {
    for (const { path: module, external } of imports) {
      if (!external || isBuiltin(module) || module === 'vscode' || module.startsWith('.')) continue;
      names.add(/^(?:@[^/]+\/)?[^/]+/.exec(module)?.[0] ?? module);
    }
  }
  return [...names].sort();
}

/** What a package says of itself. */
export async function describePackage(folder: string): Promise<ShippedPackage> {
  const { name, version, license, homepage, repository } = JSON.parse(
    await readFile(path.join(folder, 'package.json'), 'utf8'),
  );
  return {
    name,
    version,
    licence: typeof license === 'string' ? license : (license?.type ?? 'no licence'),
    homepage: homepage ?? repositoryAddress(repository),
    folder,
  };
}

function repositoryAddress(repository: unknown): string | null {
  const address =
    typeof repository === 'object' && repository !== null && 'url' in repository ? repository.url : null;
  return typeof address === 'string' ? address.replace(/^git\+/, '').replace(/\.git$/, '') : null;
}

const rule = '='.repeat(80);

/**
 * The notices of these packages, sorted by name; a licence text that several share is printed once.
 *
 * @param extra Texts for files that no licence of a package covers, by title.
 * @throws an error that names the package whose licence is not allowed or has no text.
 */
export async function thirdPartyNotices(
  packages: readonly ShippedPackage[],
  extra: Readonly<Record<string, string>> = {},
): Promise<string> {
  const byText = new Map<string, string[]>();
  for (const shipped of [...packages].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    checkLicence(shipped);
    const text = await licenceText(shipped);
    const { name, version, licence, homepage } = shipped;
    const title = `${name} ${version} (${licence})${homepage === null ? '' : `\n${homepage}`}`;
    const titles = byText.get(text) ?? [];
    if (!titles.includes(title)) byText.set(text, [...titles, title]);
  }
  const sections = [...byText].map(([text, titles]) => [titles.join('\n'), text] as const);
  return [
    'CLIPSelf Lab contains code of the packages below, under their own licences.',
    ...[...sections, ...Object.entries(extra)].map(
      ([title, text]) => `${rule}\n${title}\n${rule}\n\n${text.trim()}`,
    ),
  ]
    .join('\n\n')
    .concat('\n');
}
