/** Floats in 4 KiB: rows of the left matrix this far apart fall into the same few sets of a cache and evict each other. */
const collidingRow = 1024;

/** Zeros put behind such rows, a cache line of floats. */
export const rowPadding = 16;

/** Zeros behind rows of a left matrix of that length that keep them from colliding in a processor's caches. */
export const paddingOfRows = (length: number): number => (length % collidingRow === 0 ? rowPadding : 0);
