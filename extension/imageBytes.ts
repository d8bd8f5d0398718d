import { open } from 'node:fs/promises';

/** Larger image files are not sent to a panel. */
export const MAXIMUM_IMAGE_BYTES = 25 * 1024 * 1024;

/** Kinds of image that a panel's browser draws, by extension. */
export const imageTypes: Readonly<Record<string, string>> = {
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.png': 'image/png',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
  '.bmp': 'image/bmp',
  '.avif': 'image/avif',
};

/** At most `size` bytes of a file, from `start` on, in an array buffer of its own: only those travel to a webview as they are. */
export async function readBytes(file: string, size: number, start = 0): Promise<ArrayBuffer> {
  const handle = await open(file, 'r');
  try {
    const bytes = new Uint8Array(size);
    let offset = 0;
    while (offset < size) {
      const { bytesRead } = await handle.read(bytes, offset, size - offset, start + offset);
      if (bytesRead === 0) break;
      offset += bytesRead;
    }
    return bytes.buffer.slice(0, offset);
  } finally {
    await handle.close();
  }
}
