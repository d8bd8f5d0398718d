/**
 * Zip archives of stored entries (APPNOTE 6.3), as PyTorch writes them: data aligned to 64 bytes, so that a reader may
 * map it. Archives and entries beyond 4 GiB use the zip64 fields.
 */
import type { FileHandle } from 'node:fs/promises';
import { writeFully } from './atomicFile.ts';
import { crc32 } from './crc32.ts';

const limit32 = 0xffffffff;
const limit16 = 0xffff;
const alignment = 64;
/** First version with zip64. */
const version = 45;
const utf8Names = 0x0800;
/** 1980-01-01: the same tensors give the same bytes. */
const earliestDate = 0x21;

/** One entry in the order of the archive. */
export interface ZipEntry {
  name: string;
  bytes: Uint8Array;
}

interface Written {
  name: Buffer;
  size: number;
  crc: number;
  offset: number;
}

function zip64Field(values: readonly number[]): Buffer {
  if (values.length === 0) return Buffer.alloc(0);
  const field = Buffer.alloc(4 + 8 * values.length);
  field.writeUInt16LE(1, 0);
  field.writeUInt16LE(8 * values.length, 2);
  for (const [index, value] of values.entries()) field.writeBigUInt64LE(BigInt(value), 4 + 8 * index);
  return field;
}

/** A field of zeros that moves the data to the next multiple of the alignment; readers skip unknown fields. */
function paddingField(position: number): Buffer {
  const length = (alignment - ((position + 4) % alignment)) % alignment;
  const field = Buffer.alloc(4 + length);
  field.write('FB', 'latin1');
  field.writeUInt16LE(length, 2);
  return field;
}

function localHeader({ name, size, crc, offset }: Written): Buffer {
  const large = size >= limit32;
  const sizes = zip64Field(large ? [size, size] : []);
  const extra = Buffer.concat([sizes, paddingField(offset + 30 + name.length + sizes.length)]);
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(version, 4);
  header.writeUInt16LE(utf8Names, 6);
  header.writeUInt16LE(earliestDate, 12);
  header.writeUInt32LE(crc, 14);
  header.writeUInt32LE(large ? limit32 : size, 18);
  header.writeUInt32LE(large ? limit32 : size, 22);
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(extra.length, 28);
  return Buffer.concat([header, name, extra]);
}

function directoryEntry({ name, size, crc, offset }: Written): Buffer {
  const far = offset >= limit32;
  const large = size >= limit32;
  const extra = zip64Field([...(large ? [size, size] : []), ...(far ? [offset] : [])]);
  const header = Buffer.alloc(46);
  header.writeUInt32LE(0x02014b50, 0);
  header.writeUInt16LE(version, 4);
  header.writeUInt16LE(version, 6);
  header.writeUInt16LE(utf8Names, 8);
  header.writeUInt16LE(earliestDate, 14);
  header.writeUInt32LE(crc, 16);
  header.writeUInt32LE(large ? limit32 : size, 20);
  header.writeUInt32LE(large ? limit32 : size, 24);
  header.writeUInt16LE(name.length, 28);
  header.writeUInt16LE(extra.length, 30);
  header.writeUInt32LE(far ? limit32 : offset, 42);
  return Buffer.concat([header, name, extra]);
}

function endRecords(count: number, start: number, length: number): Buffer {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Math.min(count, limit16), 8);
  end.writeUInt16LE(Math.min(count, limit16), 10);
  end.writeUInt32LE(Math.min(length, limit32), 12);
  end.writeUInt32LE(Math.min(start, limit32), 16);
  if (count < limit16 && start < limit32 && length < limit32) return end;
  const record = Buffer.alloc(56);
  record.writeUInt32LE(0x06064b50, 0);
  record.writeBigUInt64LE(44n, 4);
  record.writeUInt16LE(version, 12);
  record.writeUInt16LE(version, 14);
  record.writeBigUInt64LE(BigInt(count), 24);
  record.writeBigUInt64LE(BigInt(count), 32);
  record.writeBigUInt64LE(BigInt(length), 40);
  record.writeBigUInt64LE(BigInt(start), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(start + length), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([record, locator, end]);
}

/** Writes an archive at the current position of `handle`, which must be the start of the file. */
export async function writeZip(handle: FileHandle, entries: Iterable<ZipEntry>): Promise<void> {
  const written: Written[] = [];
  let offset = 0;
  for (const { name, bytes } of entries) {
    const entry = { name: Buffer.from(name), size: bytes.length, crc: crc32(bytes), offset };
    const header = localHeader(entry);
    await writeFully(handle, header);
    await writeFully(handle, bytes);
    offset += header.length + bytes.length;
    written.push(entry);
  }
  const directory = Buffer.concat(written.map(directoryEntry));
  await writeFully(handle, directory);
  await writeFully(handle, endRecords(written.length, offset, directory.length));
}
