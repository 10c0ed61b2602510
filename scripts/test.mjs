/**
 * Runs every test of the project: cargo's, then vitest's against the addon built from this tree. Prints
 * `N passed, N failed, N skipped` last, and fails if a test or a runner failed, if fewer tests ran than
 * scripts/minimum-tests.json says, if a case of the conformance suite did not run for one of the backends, or if the
 * emulator took too long. With --long, the long campaigns too; with --with-install, also the package as its users
 * install it; with --install only that; with --sanitizers, only the Rust code under AddressSanitizer and ThreadSanitizer.
 */

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import {
  CHAPTER,
  casesOf,
  DRIVER_SUITE,
  GPU_CASE,
  GPU_SUITES,
  longCases,
  missingCases,
  SUITES,
  secondsOf,
} from './conformance.mjs';
import { buildFakeDriver } from './fake-driver.mjs';
import { ASAN, ASAN_FILES, ASAN_TIMEOUT, racesIn, sanitizedCopy, TSAN } from './sanitizers.mjs';

const long = process.argv.includes('--long');
const sanitizers = process.argv.includes('--sanitizers');
const onlyInstall = process.argv.includes('--install');
const minimum = JSON.parse(readFileSync(new URL('./minimum-tests.json', import.meta.url), 'utf8'));

/** Runs a command, its output passed through as it comes; with `capture`, stdout is returned at the end. */
function run(command, args, { capture = false, env = {}, cwd = process.cwd() } = {}) {
  const stdio = ['ignore', capture ? 'pipe' : 'inherit', 'inherit'];
  const result = spawnSync(command, args, {
    stdio,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    cwd,
    env: { ...process.env, ...env },
  });
  if (result.error) throw result.error;
  return { code: result.status ?? 1, stdout: result.stdout ?? '' };
}

/** Tests of the emulator that take minutes under the sanitizers, and touch nothing that the others do not. */
const SLOW_SANITIZED = [
  'chapters_sizes',
  'training_equals',
  'odd_sizes',
  'forward_equals',
  'the_same_run',
  'longer_than_the_tables',
  'nothing_is_read',
  'any_order',
  'text_equals',
  'cluster_',
  'words_',
  'tf32::',
  'bf16::',
  'no_order_of_events',
  'launches_of_any_length',
  'many_hidden_units',
  'curves_stay',
];

const CASES = casesOf(
  readFileSync(new URL('../crates/gru-core/src/conformance.rs', import.meta.url), 'utf8'),
);

/**
 * Seconds that the conformance tests of the emulator may take: those of crates/gru-cuda-emulator/tests/conformance.rs,
 * the suite at all its sizes and what only the CUDA backend promises, on all cores of the machine, without the build
 * and without the sanitizers' run.
 */
const EMULATOR_SECONDS = 240;

/** All of cargo's tests; those that take longest only where they are asked for. */
function cargoTests() {
  const leftOut = long ? [] : longCases(CASES);
  const options = long ? ['--include-ignored'] : leftOut.flatMap((name) => ['--skip', name]);
  const tests = cargo('cargo', ['--workspace'], options);
  tests.problems.push(...missingCases(tests.stdout, SUITES, CASES, leftOut));
  const seconds = secondsOf(tests.stdout, SUITES.emulator);
  console.log(`conformance on the emulator: ${seconds} s of at most ${EMULATOR_SECONDS}`);
  if (!(seconds <= EMULATOR_SECONDS)) {
    const load = loadavg()[1].toFixed(1);
    tests.problems.push(
      `expected the emulator's conformance tests within ${EMULATOR_SECONDS} s, received ${seconds} s (load ${load})`,
    );
  }
  return tests;
}

/**
 * A device with clusters, and a driver that knows them: the persistent kernels are chosen. The conformance suite runs on
 * the plain steps, which the emulator computes in half the time; its own tests run the suite on every pair.
 */
const DRIVER = 'capability=9.0,version=12010';

/**
 * The tests that are for a GPU, as far as they are small, on a driver library that runs kernels on the emulator:
 * so that they are known to work before they are run on a GPU. Some 50 s of one core.
 */
function driverTests() {
  const library = buildFakeDriver();
  const folder = mkdtempSync(join(tmpdir(), 'gru-native-driver-'));
  for (const name of ['libcuda.so', 'libcuda.so.1']) copyFileSync(library, join(folder, name));
  const path = [folder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(delimiter);
  const suites = Object.values(DRIVER_SUITE).map((module) => `${module}::`);
  const chosen = [...suites, GPU_CASE, 'small::', 'sanitized_sizes_run', 'an_opened_network'];
  const tests = cargo('driver', ['--workspace', '--test', 'gpu'], [...chosen, '--skip', CHAPTER], {
    LD_LIBRARY_PATH: path,
    GRU_FAKE_DRIVER: DRIVER,
  });
  rmSync(folder, { recursive: true });
  const cases = CASES.filter((name) => !name.includes(CHAPTER));
  tests.problems.push(...missingCases(tests.stdout, DRIVER_SUITE, cases));
  tests.problems.push(...missingCases(tests.stdout, GPU_SUITES, [GPU_CASE]));
  return tests;
}

/** The CUDA kernels and the emulator that runs them, under AddressSanitizer and UBSan. */
function sanitizedTests() {
  const skipped = long ? [] : SLOW_SANITIZED.flatMap((name) => ['--skip', name]);
  return cargo('sanitized', ['-p', 'gru-cuda-emulator', '--features', 'sanitize'], skipped);
}

/** The protocol of the worker threads under the model checker, which tries every order of events: a minute or two. */
function modelTests() {
  const packages = ['-p', 'gru-core', '--lib', '--release', '--target-dir', 'target/model'];
  return cargo('model', packages, ['model::'], { RUSTFLAGS: '--cfg loom' });
}

/** Runs cargo's tests, counted from the closing line of each of its runners. */
function cargo(name, packages, options, env = {}) {
  const args = ['test', ...packages, '--locked', '--no-fail-fast', '--', ...options];
  const { code, stdout } = run('cargo', args, { capture: true, env });
  process.stdout.write(stdout);
  const counts = { name, code, stdout, problems: [], passed: 0, failed: 0, skipped: 0 };
  for (const [, passed, failed, ignored] of stdout.matchAll(
    /^test result: \S+ (\d+) passed; (\d+) failed; (\d+) ignored/gm,
  )) {
    counts.passed += Number(passed);
    counts.failed += Number(failed);
    counts.skipped += Number(ignored);
  }
  return counts;
}

/** The CPU backend and the thread of a network under AddressSanitizer. */
function asanTests() {
  return cargo('asan', ['-p', 'gru-core', '-p', 'gru-napi', ...ASAN.options], [], ASAN.env);
}

/** The threads of the CPU backend under ThreadSanitizer. Its reports go to files; whether one fails is decided here. */
function tsanTests() {
  const folder = mkdtempSync(join(tmpdir(), 'gru-native-tsan-'));
  const packages = ['-p', 'gru-core', '--lib', '--test', 'cpu', '--test', 'sanitizers', ...TSAN.options];
  const chosen = ['workers::', 'conformance::', 'any_number_of_threads', 'networks_side_by_side', 'planted'];
  const env = { ...TSAN.env, TSAN_OPTIONS: `exitcode=0 log_path=${join(folder, 'report')}` };
  const tests = cargo('tsan', packages, [...chosen, '--skip', CHAPTER], env);
  const reports = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
  tests.problems.push(...racesIn(reports.join('\n')));
  rmSync(folder, { recursive: true });
  return tests;
}

/** The addon under AddressSanitizer, in Node. */
function asanAddonTests() {
  const { folder, env } = sanitizedCopy();
  const tests = vitestTests('asanAddon', [...ASAN_FILES, `--testTimeout=${ASAN_TIMEOUT}`], {
    cwd: folder,
    env,
  });
  rmSync(folder, { recursive: true });
  return tests;
}

/** vitest's tests, counted from its JSON report. A file that does not load counts as one failure. */
function vitestTests(name = 'vitest', files = [], { cwd = process.cwd(), env = {} } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'gru-native-test-'));
  const report = join(folder, 'report.json');
  const args = ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile=${report}`];
  const { code } = run('npx', [...args, ...files], {
    cwd,
    env: { ...(long ? { GRU_LONG: '1' } : {}), ...env },
  });
  const counts = { name, code, problems: [], passed: 0, failed: 0, skipped: 0 };
  try {
    const results = JSON.parse(readFileSync(report, 'utf8'));
    counts.passed = results.numPassedTests;
    counts.failed = results.numFailedTests;
    counts.skipped = results.numPendingTests + results.numTodoTests;
    counts.failed += results.testResults.filter(
      (file) => file.status === 'failed' && file.assertionResults.length === 0,
    ).length;
    for (const file of results.testResults) {
      for (const test of file.assertionResults) {
        if (test.status === 'pending' || test.status === 'skipped') console.log(`skipped: ${test.fullName}`);
      }
    }
  } catch (error) {
    console.error(`vitest left no report: ${error.message}`);
    counts.failed += 1;
  }
  rmSync(folder, { recursive: true });
  return counts;
}

/** The package as its users install it: packed, then installed by package managers, on every line of Node. */
function installTests() {
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund'];
  // The tools are a package of their own: about 900 MB, of which four Nodes are the most.
  const { code } = run('npm', ['install', '--prefer-offline', ...quiet], { cwd: 'test/install' });
  if (code !== 0) return { name: 'install', code, problems: [], passed: 0, failed: 1, skipped: 0 };
  const tests = vitestTests('install', ['--config', 'vitest.install.config.ts']);
  // Their types need the tools, which npm run check does not have.
  if (run('npx', ['tsc', '-p', 'test/install']).code !== 0) tests.problems.push('types of the install tests');
  return tests;
}

/** What runs when nothing is said. */
function usualTests() {
  const tests = [cargoTests(), vitestTests()];
  // The driver's stand-in and the sanitizers' libraries are Linux's.
  if (process.platform === 'linux') tests.push(driverTests(), sanitizedTests());
  return tests;
}

// So that one command is enough in a fresh clone.
if (!existsSync('node_modules')) run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund']);
// Packing builds for itself.
if (!onlyInstall && run('npm', ['run', '--silent', 'build']).code !== 0) {
  console.error('the build failed');
  console.log('0 passed, 1 failed');
  process.exit(1);
}
const runners = sanitizers || onlyInstall ? [] : usualTests();
if (onlyInstall || process.argv.includes('--with-install')) runners.push(installTests());
if (long) runners.push(modelTests());
if (sanitizers || (long && process.platform === 'linux')) {
  runners.push(asanTests(), tsanTests(), asanAddonTests());
}
const problems = [];
const sum = { passed: 0, failed: 0, skipped: 0 };
for (const runner of runners) {
  const { name, code, passed, failed } = runner;
  for (const key of Object.keys(sum)) sum[key] += runner[key];
  if (code !== 0 && failed === 0) {
    problems.push(`${name} exited with ${code} although no test failed`);
    sum.failed += 1;
  }
  problems.push(...runner.problems);
  sum.failed += runner.problems.length;
  if (passed + failed < minimum[name]) {
    problems.push(`${name} ran ${passed + failed} tests, at least ${minimum[name]} were expected`);
    sum.failed += 1;
  }
}
for (const problem of problems) console.error(problem);
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
process.exitCode = sum.failed > 0 ? 1 : 0;
