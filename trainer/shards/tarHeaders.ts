/** Header blocks of tar archives: ustar, GNU long names and sizes, pax. The library's codec, without its extraction. */

import { Header } from 'tar/header';
import { Pax } from 'tar/pax';

export const blockBytes = 512;

/** Bytes of an archive that `size` bytes of content take up. */
export const paddedSize = (size: number): number => Math.ceil(size / blockBytes) * blockBytes;

export interface TarHeader {
  /** `file` has content of its own; `name` and `pax` describe the next member; `other` is a folder, a link or unknown. */
  kind: 'file' | 'name' | 'pax' | 'globalPax' | 'other';
  /** Name in the archive, as it stands there. */
  name: string;
  /** Bytes of content that follow the header. */
  size: number;
}

/** What extension headers say about the member after them. */
export interface MemberExtension {
  path?: string;
  size?: number;
}

const kinds: Readonly<Record<string, TarHeader['kind']>> = {
  File: 'file',
  OldFile: 'file',
  ContiguousFile: 'file',
  NextFileHasLongPath: 'name',
  OldGnuLongPath: 'name',
  ExtendedHeader: 'pax',
  OldExtendedHeader: 'pax',
  GlobalExtendedHeader: 'globalPax',
};

/** Members without content although their headers may state a size. */
const contentless: ReadonlySet<string> = new Set([
  'Link',
  'SymbolicLink',
  'CharacterDevice',
  'BlockDevice',
  'Directory',
  'FIFO',
]);

/**
 * Reads one block.
 *
 * @returns `end` for a block of zeros; null when it is no header: another checksum, or a size that is none.
 */
export function parseHeader(
  block: Buffer,
  extension: MemberExtension | null = null,
): TarHeader | 'end' | null {
  try {
    const header = new Header(block, 0, extension ? new Pax(extension) : undefined);
    if (header.nullBlock) return isZero(block) ? 'end' : null;
    const { size = 0, path = '' } = header;
    if (!header.cksumValid || !Number.isSafeInteger(size)) return null;
    const kind = kinds[header.type] ?? 'other';
    // The library would put the prefix of the block before a name that is whole already.
    return { kind, name: extension?.path ?? path, size: contentless.has(header.type) ? 0 : size };
  } catch {
    // The library throws on numbers that cannot be.
    return null;
  }
}

const zeros = Buffer.alloc(blockBytes);
const isZero = (block: Buffer): boolean => block.equals(zeros);

/** What the content of a `name`, `pax` or `globalPax` header says about the member that follows. */
export function parseExtension(kind: TarHeader['kind'], content: Buffer): MemberExtension {
  const text = content.toString('utf8');
  if (kind === 'name') return { path: text.replace(/\0.*/s, '') };
  // A global header describes the archive: neither name nor size of one member follows from it.
  if (kind !== 'pax') return {};
  const { path, size } = Pax.parse(text);
  return { ...(path === undefined ? {} : { path }), ...(size === undefined ? {} : { size }) };
}

/** The blocks before the content of a member: ustar, with a pax header where name or size do not fit. */
export function formatHeader(name: string, size: number): Buffer {
  // Fixed owner, mode and time: the same images make the same archive.
  const fields = { path: name, size, mode: 0o644, uid: 0, gid: 0, mtime: new Date(0), type: 'File' as const };
  const header = new Header(fields);
  const block = Buffer.alloc(blockBytes);
  const needsPax = header.encode(block);
  return needsPax ? Buffer.concat([new Pax({ path: name, size }).encode(), block]) : block;
}
