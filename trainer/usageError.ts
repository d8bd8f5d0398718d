/** A command line that makes no sense; exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** One line whatever it came from: parseArgs and native libraries break theirs. */
export const errorLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/\s*[\r\n]+\s*/g, ' ').trim();
