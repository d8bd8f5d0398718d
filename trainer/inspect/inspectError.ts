import { FileError } from '../checkpoints/fileError.ts';
import { ImageError } from '../images/imageError.ts';
import { type InspectErrorData, inspectErrors } from './protocol.ts';

/** Why a request failed: a code of the protocol, one clear sentence, and what may help. */
export class InspectError extends Error {
  readonly code: number;
  readonly data: InspectErrorData;

  constructor(code: keyof typeof inspectErrors, message: string, data: InspectErrorData = {}) {
    super(message);
    this.name = 'InspectError';
    this.code = inspectErrors[code];
    this.data = data;
  }
}

export const cancelledError = (): InspectError => new InspectError('cancelled', 'The request was cancelled');

const memoryPattern = /bad[_ ]alloc|failed to allocate|out of memory|array buffer allocation failed/i;

/** What the engine and the runtime say when memory runs out. */
export const isMemoryError = (error: unknown): boolean =>
  error instanceof Error && memoryPattern.test(error.message);

/** Sorts an error of reading an image. */
export function imageError(error: unknown): unknown {
  if (!(error instanceof ImageError)) return error;
  if (error.reason === 'no such file')
    return new InspectError('imageNotFound', `${error.message}. It may have been moved or removed`);
  return new InspectError('imageUnreadable', `${error.message}. Choose another image`);
}

/** Sorts an error of finding or loading a model. */
export const modelError = (error: unknown): unknown =>
  error instanceof FileError ? new InspectError('modelUnreadable', error.message) : error;

/** Sorts an error of writing the cache. */
export const cacheError = (error: unknown): unknown =>
  error instanceof FileError ? new InspectError('cacheUnwritable', error.message) : error;

/** Runs `work`; its errors are translated by `translate`. */
export async function translating<T>(
  translate: (error: unknown) => unknown,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translate(error);
  }
}
