/** Names found in files come from strangers: a line break would split the message, an escape steer the terminal. */
const printable = (text: string): string => text.replace(/\p{Cc}/gu, '·');

/** A problem with one file or folder, told in one message: which file, what is wrong and what to do about it. */
export class FileError extends Error {
  /** Path of the file or folder. */
  readonly file: string;
  /** What is wrong, without the path. */
  readonly reason: string;

  constructor(file: string, reason: string, advice: string, options?: ErrorOptions) {
    const shown = printable(reason);
    super(`${file}: ${shown}. ${advice}`, options);
    this.name = 'FileError';
    this.file = file;
    this.reason = shown;
  }
}

const systemReasons: Readonly<Record<string, readonly [reason: string, advice: string]>> = {
  ENOSPC: ['the disk is full', 'Free some space and run the same command again'],
  EDQUOT: ['the disk quota is used up', 'Free some space and run the same command again'],
  EFBIG: ['the file grew larger than the system allows', 'Raise the limit or choose another disk'],
  EACCES: ['permission denied', 'Change its permissions or choose another place'],
  EPERM: ['the system does not permit it', 'Change its permissions or choose another place'],
  EROFS: ['the file system is read-only', 'Choose a folder that can be written'],
  ENOENT: ['no such file or folder', 'Check the path'],
  ENOTDIR: ['a part of the path is a file, not a folder', 'Check the path'],
  EISDIR: ['it is a folder, not a file', 'Check the path'],
  EEXIST: ['it exists already', 'Remove it or choose another name'],
  ENAMETOOLONG: ['the path is too long', 'Choose a shorter one'],
  ELOOP: ['too many symbolic links', 'Check the path'],
  EMFILE: ['too many open files', 'Close other programs or raise the limit of open files'],
  EIO: ['the disk reported an input/output error', 'Check the disk and try again'],
};

/** The code of a system error such as `ENOSPC`; undefined for anything else. */
export function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Turns an error of the file system into a `FileError`; other errors come back as they are. */
export function asFileError(error: unknown, file: string, action: 'read' | 'write'): Error {
  if (error instanceof FileError) return error;
  const code = systemErrorCode(error);
  if (code === undefined) return error instanceof Error ? error : new Error(String(error));
  const [reason, advice] = systemReasons[code] ?? [
    `the system reported ${code}`,
    'Check the path and the disk',
  ];
  return new FileError(file, `cannot ${action}: ${reason} (${code})`, advice, { cause: error });
}

/** Runs `work`; a system error becomes a `FileError` about `file`. */
export async function naming<T>(file: string, action: 'read' | 'write', work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asFileError(error, file, action);
  }
}
