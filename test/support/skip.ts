/** Skips a test and says why on the console, so that a reader of the log need not look for the reason. */
export function skipBecause(test: Mocha.Context, reason: string): never {
  console.log(`      skipped: ${reason}`);
  return test.skip();
}
