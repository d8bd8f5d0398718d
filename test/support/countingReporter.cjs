// Mocha's spec reporter that also writes how many tests passed, failed and were skipped, for `test/run.mjs` to add up.
const { writeFileSync } = require('node:fs');
const { reporters } = require('mocha');

class CountingReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const file = process.env.CLIPSELF_TEST_RESULTS;
    if (!file) return;
    runner.once('end', () => {
      const { passes, failures, pending } = runner.stats;
      writeFileSync(file, JSON.stringify({ passed: passes, failed: failures, skipped: pending }));
    });
  }
}

module.exports = CountingReporter;
