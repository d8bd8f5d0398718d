import { stat } from 'node:fs/promises';

/** A text that is another one when the file is another, was written to, or is gone. */
export const fileSignature = (file: string): Promise<string> =>
  stat(file).then(
    ({ ino, size, mtimeMs }) => `${file}:${ino}:${size}@${mtimeMs}`,
    () => `${file}:gone`,
  );
