/** What a VSIX holds: its files, and their compressed sizes by part. */

import { openPromise } from 'yauzl';

export interface PartSize {
  part: string;
  files: number;
  /** Bytes within the VSIX and once installed. */
  packed: number;
  installed: number;
}

/** Packages by name, other files by their first two folders. */
function partOf(file: string): string {
  const inside = file.replace(/^extension\//, '');
  return (
    /^dist\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(inside)?.[1] ??
    /^([^/]+\/[^/]+)\//.exec(inside)?.[1] ??
    'manifests and pages'
  );
}

/** Sizes by part, the largest first. */
export async function sizesByPart(vsix: string): Promise<PartSize[]> {
  const parts = new Map<string, PartSize>();
  for await (const entry of (await openPromise(vsix)).eachEntry()) {
    const part = partOf(entry.fileName);
    const { files, packed, installed } = parts.get(part) ?? { files: 0, packed: 0, installed: 0 };
    parts.set(part, {
      part,
      files: files + 1,
      packed: packed + entry.compressedSize,
      installed: installed + entry.uncompressedSize,
    });
  }
  return [...parts.values()].sort((a, b) => b.packed - a.packed);
}
