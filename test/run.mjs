// Runs every check of the repository, or those named, and adds up what mocha counted:
//
//     npm test                      all of them
//     npm test -- unit parity       only these
//
// Each check that fails without counting tests (a type error, a build that breaks, a mocha that dies) counts as one
// failure, so that the last line tells the truth.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tsImport } from 'tsx/esm/api';

const root = fileURLToPath(new URL('..', import.meta.url));
const { missingBrowser } = await tsImport('./support/browserPrerequisites.ts', import.meta.url);
const { findInstallation } = await tsImport('../trainer/engines/tensorflow/installation.ts', import.meta.url);
const { installNestedPackage } = await tsImport('./support/nestedPackage.ts', import.meta.url);

/** Minutes after which a check counts as hung. */
const LIMIT = 30;

const npmScript = name => ({ program: 'npm', parameters: ['run', '--silent', name] });
const node = (...parameters) => ({ program: process.execPath, parameters });
const mocha = folder => ({
  ...node('node_modules/mocha/bin/mocha.js', '--import=tsx', '--timeout=30000'),
  counts: true,
  files: `test/${folder}/*.test.ts`,
});

const checks = {
  typecheck: npmScript('typecheck'),
  lint: npmScript('lint'),
  build: npmScript('build'),
  unit: mocha('unit'),
  parity: mocha('parity'),
  package: mocha('package'),
  slurm: mocha('slurm'),
  // The tests of the TensorFlow engine again, on the TensorFlow that `npm run setup:tensorflow` installed.
  tensorflow: {
    ...node(
      'node_modules/mocha/bin/mocha.js',
      '--import=tsx',
      '--timeout=60000',
      'test/unit/tensorflowEngine.test.ts',
      'test/unit/graph*.test.ts',
    ),
    counts: true,
    files: 'test/parity/clipself.test.ts',
    needsTensorflow: true,
    environment: { CLIPSELF_TEST_TENSORFLOW: 'installed' },
  },
  vscode: { install: true },
  'e2e types': {
    ...node('node_modules/typescript/bin/tsc', '--noEmit', '-p', 'test/e2e'),
    needsBrowser: true,
  },
  extension: { ...node('--import=tsx', 'test/extension/run.ts'), counts: true, needsBrowser: true },
  e2e: mocha('e2e'),
};

/** What a named check needs to run before it. */
const before = { extension: ['build', 'vscode', 'e2e types'], e2e: ['build', 'vscode', 'e2e types'] };

function selectChecks(names) {
  const unknown = names.filter(name => !(name in checks));
  if (unknown.length > 0) {
    console.error(`unknown check "${unknown[0]}": choose from ${Object.keys(checks).join(', ')}`);
    process.exit(2);
  }
  const wanted = new Set(
    names.length > 0 ? names.flatMap(name => [...(before[name] ?? []), name]) : Object.keys(checks),
  );
  return Object.keys(checks).filter(name => wanted.has(name));
}

/** Resolves with the exit status; a check that outlives the limit is ended and counts as failed. */
function runProgram(program, parameters, environment) {
  return new Promise(resolve => {
    const child = spawn(program, parameters, {
      cwd: root,
      stdio: 'inherit',
      // Whatever cards this machine has, tests compare bits of the CPU engine.
      env: { CLIPSELF_ENGINE: 'cpu', ...process.env, ...environment },
    });
    const timer = setTimeout(() => {
      console.error(`it did not end within ${LIMIT} minutes`);
      child.kill('SIGTERM');
      setTimeout(() => child.kill('SIGKILL'), 10_000).unref();
    }, LIMIT * 60_000);
    const finish = status => {
      clearTimeout(timer);
      resolve(status);
    };
    child.once('error', error => {
      console.error(`${program} could not be started: ${error.message}`);
      finish(1);
    });
    child.once('exit', status => finish(status ?? 1));
  });
}

function readCounts(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

const nothing = { passed: 0, failed: 0, skipped: 0 };

async function runCheck(name, scratch) {
  const check = checks[name];
  const reason = missingBrowser();
  if (reason && (check.install || check.needsBrowser)) {
    console.log(reason);
    return { ...nothing, skipped: check.counts ? 1 : 0, note: 'skipped' };
  }
  const tensorflow = check.needsTensorflow ? await findInstallation() : { installed: true };
  if (!tensorflow.installed) {
    console.log(`${tensorflow.reason}: the engine was tested on TensorFlow.js in plain JavaScript only`);
    return { ...nothing, skipped: 1, note: 'skipped' };
  }
  if (check.install) {
    installNestedPackage();
    return nothing;
  }
  if (!check.counts) {
    const status = await runProgram(check.program, check.parameters);
    return { ...nothing, failed: status === 0 ? 0 : 1 };
  }
  const results = join(scratch, `${name}.json`);
  const reporter = join(root, 'test/support/countingReporter.cjs');
  const parameters = check.files
    ? [...check.parameters, `--reporter=${reporter}`, check.files]
    : check.parameters;
  const status = await runProgram(check.program, parameters, {
    ...check.environment,
    CLIPSELF_TEST_RESULTS: results,
    CLIPSELF_TEST_REPORTER: reporter,
  });
  const counts = readCounts(results);
  if (!counts)
    return { ...nothing, failed: 1, note: `ended with exit status ${status} and counted no tests` };
  if (status === 0 || counts.failed > 0) return counts;
  return { ...counts, failed: 1, note: `ended with exit status ${status}` };
}

async function runAll(names) {
  const scratch = mkdtempSync(join(tmpdir(), 'clipself-results-'));
  const rows = [];
  try {
    for (const name of names) {
      console.log(`\n── ${name} ${'─'.repeat(Math.max(0, 76 - name.length))}`);
      const start = performance.now();
      const outcome = await runCheck(name, scratch).catch(error => {
        console.error(error.message);
        return { ...nothing, failed: 1 };
      });
      rows.push({ name, seconds: (performance.now() - start) / 1000, ...outcome });
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return rows;
}

function printSummary(rows) {
  console.log(
    `\n${'check'.padEnd(12)}${['passed', 'failed', 'skipped', 'seconds'].map(title => title.padStart(9)).join('')}`,
  );
  for (const { name, passed, failed, skipped, seconds, note } of rows) {
    const cells = [passed, failed, skipped, seconds.toFixed(1)].map(cell => String(cell).padStart(9));
    console.log(`${name.padEnd(12)}${cells.join('')}${note ? `   ${note}` : ''}`);
  }
  const sum = key => rows.reduce((total, row) => total + row[key], 0);
  const skipped = sum('skipped');
  console.log(
    `\n${sum('passed')} passed, ${sum('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`,
  );
  return sum('failed');
}

const rows = await runAll(selectChecks(process.argv.slice(2)));
process.exitCode = printSummary(rows) > 0 ? 1 : 0;
