import { createHash } from 'node:crypto';

/** Six characters that tell requests apart and are the same for the same request, for the names of their results. */
export const requestMark = (request: object): string =>
  createHash('sha256').update(JSON.stringify(request)).digest('hex').slice(0, 6);
