/**
 * Writes the VSIX of one platform: `npm run package -- [--target linux-x64] [--out FILE]`. By default of this machine's
 * platform, into the folder of the clone. For another platform npm fetches its native packages.
 */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type PartSize, sizesByPart } from './contents.ts';
import { stagePackage } from './stage.ts';
import { targetNamed } from './targets.ts';
import { writeVsix } from './vsce.ts';

const clone = fileURLToPath(new URL('../..', import.meta.url));

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(2).padStart(11);

function printSizes(sizes: readonly PartSize[]): void {
  const sum = (key: 'files' | 'packed' | 'installed') => sizes.reduce((total, part) => total + part[key], 0);
  const total = { part: 'all', files: sum('files'), packed: sum('packed'), installed: sum('installed') };
  console.log(
    `${'part'.padEnd(34)}${'files'.padStart(7)}${'packed MB'.padStart(11)}${'installed'.padStart(11)}`,
  );
  for (const { part, files, packed, installed } of [...sizes, total])
    console.log(`${part.padEnd(34)}${String(files).padStart(7)}${megabytes(packed)}${megabytes(installed)}`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { target: { type: 'string' }, out: { type: 'string' } } });
  const target = targetNamed(values.target);
  const { name, version } = JSON.parse(await readFile(path.join(clone, 'package.json'), 'utf8'));
  const file = path.resolve(values.out ?? path.join(clone, `${name}-${version}-${target.name}.vsix`));
  const scratch = await mkdtemp(path.join(tmpdir(), 'clipself-package-'));
  try {
    await writeVsix(await stagePackage(target, clone, scratch), target, file);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  printSizes(await sizesByPart(file));
  console.log(`\n${file}`);
}

await main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
