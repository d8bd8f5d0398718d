/** Pickles written by hand, instruction by instruction, and archives around them. */
import { open } from 'node:fs/promises';
import { writeZip } from '../../trainer/checkpoints/zipWriter.ts';

type Piece = Uint8Array | number;

/** Concatenates instructions; numbers are single bytes. */
export const pickle = (...pieces: Piece[]): Buffer =>
  Buffer.concat([
    Buffer.of(0x80, 2),
    ...pieces.map(piece => (typeof piece === 'number' ? Buffer.of(piece) : piece)),
    Buffer.from('.'),
  ]);

export const text = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(5);
  length.write('X');
  length.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([length, bytes]);
};

export const integer = (value: number): Buffer => {
  const bytes = Buffer.alloc(5);
  bytes.write('J');
  bytes.writeInt32LE(value, 1);
  return bytes;
};

export const global = (module: string, name: string): Buffer => Buffer.from(`c${module}\n${name}\n`);

export const tuple = (...items: Uint8Array[]): Buffer =>
  Buffer.concat([Buffer.from('('), ...items, Buffer.from('t')]);

export const dictionary = (entries: Record<string, Uint8Array>): Buffer =>
  Buffer.concat([
    Buffer.from('}('),
    ...Object.entries(entries).flatMap(([key, value]) => [text(key), value]),
    Buffer.from('u'),
  ]);

export const storage = (key: string, length: number, type = 'FloatStorage'): Buffer =>
  Buffer.concat([
    tuple(text('storage'), global('torch', type), text(key), text('cpu'), integer(length)),
    Buffer.from('Q'),
  ]);

export const tensor = (from: Uint8Array, offset: number, shape: number[], strides: number[]): Buffer =>
  Buffer.concat([
    global('torch._utils', '_rebuild_tensor_v2'),
    tuple(
      from,
      integer(offset),
      tuple(...shape.map(integer)),
      tuple(...strides.map(integer)),
      Buffer.of(0x89),
      Buffer.concat([global('collections', 'OrderedDict'), Buffer.from(')R')]),
    ),
    Buffer.from('R'),
  ]);

/** Writes an archive with these entries below its top folder. */
export async function writeArchive(file: string, entries: Record<string, Uint8Array>): Promise<void> {
  const handle = await open(file, 'w');
  try {
    await writeZip(
      handle,
      Object.entries(entries).map(([name, bytes]) => ({ name: `archive/${name}`, bytes })),
    );
  } finally {
    await handle.close();
  }
}
