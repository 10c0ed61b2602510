/** What a result was measured with: the machine, the build, the moment. And the writing of results. */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { addonPath, native } from '../dist/native.js';
import { packageVersion } from '../dist/package-version.js';

/** The root of the checkout. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/**
 * The facts that go into every result; asked for at the start, since the load is the load before.
 *
 * @param {number} threads threads that the work is shared by
 */
export function machineFacts(threads) {
  return {
    date: new Date().toISOString(),
    cpu: cpuModel(),
    cpuFeatures: native.cpuFeatures(),
    threadsAvailable: native.availableThreads(),
    threads,
    loadAverage: loadavg().map((load) => Math.round(load * 100) / 100),
    platform: `${process.platform}-${process.arch}`,
    node: process.versions.node,
    version: packageVersion(),
    commit: commit(),
    build: buildFingerprint(),
  };
}

/**
 * @typedef {ReturnType<typeof machineFacts>} MachineFacts
 */

/** The facts in one line, for people. */
export function describeMachine(/** @type {MachineFacts} */ facts) {
  const source = facts.commit ?? 'unknown commit';
  return (
    `gru-native ${facts.version} (${source}, build ${facts.build}) on Node ${facts.node}; ${facts.cpu}, ` +
    `${facts.threads} of ${facts.threadsAvailable} threads, load ${facts.loadAverage[0]}; ${facts.date}`
  );
}

/** What a busy machine and an old build do to a result, as sentences; none when all is well. */
export function warnings(/** @type {MachineFacts} */ facts) {
  const found = [];
  if (facts.loadAverage[0] > 0.3) {
    found.push(
      `the machine was busy before the start (load ${facts.loadAverage[0]}): times are not to be trusted`,
    );
  }
  for (const [built, command, ...sources] of /** @type {const} */ ([
    [addonPath, 'npm run build:rs', 'crates/gru-core/src', 'crates/gru-napi/src', 'Cargo.toml'],
    [join(ROOT, 'dist/index.js'), 'npm run build:ts', 'src'],
  ])) {
    const newest = Math.max(...sources.flatMap((source) => filesOf(join(ROOT, source))).map(modified));
    if (newest > modified(built))
      found.push(`${relative(ROOT, built)} is older than its sources: run ${command}`);
  }
  return found;
}

/** The processor's name as part of a file name. */
export function cpuSlug() {
  return cpuModel()
    .toLowerCase()
    .replaceAll(/\((r|tm)\)/g, '')
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
}

/** Digits that a number keeps in a result: more than any of them means. */
const DIGITS = 7;

/**
 * Writes a result as JSON, lists of numbers on one line each; the file is either the old or the new one.
 *
 * @param {string} path
 * @param {object} result
 */
export function writeResult(path, result) {
  const rounded = (/** @type {string} */ _, /** @type {unknown} */ value) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value;
  const json = JSON.stringify(result, rounded, 2).replaceAll(/\[\s+([-\d.e+,\s]+?)\s+\]/g, (_, numbers) => {
    return `[${numbers.replaceAll(/\s+/g, ' ')}]`;
  });
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.tmp`, `${json}\n`);
  renameSync(`${path}.tmp`, path);
}

function cpuModel() {
  return cpus()[0]?.model.trim() || 'unknown CPU';
}

/** Short hash of the commit that is checked out, with a plus when files that git knows were changed. */
function commit() {
  const git = (/** @type {string[]} */ ...args) =>
    spawnSync('git', ['--no-optional-locks', ...args], { cwd: ROOT, encoding: 'utf8' });
  const { status, stdout } = git('rev-parse', '--short=12', 'HEAD');
  if (status !== 0) return null;
  return stdout.trim() + (git('status', '--porcelain', '--untracked-files=no').stdout === '' ? '' : '+');
}

/** A hash of the addon and of the compiled library: two results with the same one come from the same code. */
function buildFingerprint() {
  const hash = createHash('sha256').update(readFileSync(addonPath));
  for (const name of readdirSync(join(ROOT, 'dist')).sort()) {
    if (name.endsWith('.js')) hash.update(name).update(readFileSync(join(ROOT, 'dist', name)));
  }
  return hash.digest('hex').slice(0, 12);
}

/** @param {string} path @returns {string[]} */
function filesOf(path) {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return [];
  if (!stats.isDirectory()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map((name) => join(path, name))
    .filter((file) => statSync(file).isFile());
}

/** @param {string} path */
function modified(path) {
  return statSync(path).mtimeMs;
}
