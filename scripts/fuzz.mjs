/**
 * npm run fuzz -- [--minutes 10] [--seed N] [--out FILE]: feeds hostile inputs to everything that reads files or options,
 * and writes what was seen to bench/results. Every target has a share of the time and runs alone. A failure names its
 * seed and leaves its input behind.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { cpuSlug, machineFacts, ROOT, writeResult } from '../bench/machine.mjs';

/** Shares of the time: reading a model file is by far the fastest, and where the most is behind. */
const SHARES = { modelFile: 0.6, eachOther: 0.05 };

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string' }, out: { type: 'string' } },
});
const seconds = 60 * Number(values.minutes);
const seed = Number(values.seed ?? Date.now() % 2 ** 31);
if (!(seconds > 0) || !Number.isSafeInteger(seed)) {
  console.error('usage: npm run fuzz -- [--minutes 10] [--seed N] [--out FILE]');
  process.exit(2);
}
const machine = machineFacts(1);
const folder = mkdtempSync(join(tmpdir(), 'gru-native-fuzz-'));

/**
 * Runs a command; what it reports are lines of JSON.
 *
 * @param {number} share of the time, for each of its targets
 * @param {string[]} command
 * @returns {{ target: string, executions: number }[]}
 */
function campaign(share, [program, ...args]) {
  const report = join(folder, 'report');
  const env = {
    GRU_FUZZ_SECONDS: `${Math.ceil(share * seconds)}`,
    GRU_FUZZ_SEED: `${seed}`,
    GRU_FUZZ_REPORT: report,
  };
  const { status } = spawnSync(program ?? '', args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (status !== 0) {
    rmSync(folder, { recursive: true });
    process.exit(1);
  }
  const lines = readFileSync(report, 'utf8').trim().split('\n');
  rmSync(report);
  return lines.map((line) => JSON.parse(line));
}

const targets = [
  // Not optimised for release: with the checks of debugging, overflow among them.
  ...campaign(SHARES.modelFile, [
    ...['cargo', 'test', '--locked', '--workspace', '--test', 'hostile_files', '--'],
    ...['--ignored', '--exact', 'campaign'],
  ]),
  ...campaign(SHARES.eachOther, ['npx', 'vitest', 'run', 'test/fuzz', '--no-file-parallelism']),
];
rmSync(folder, { recursive: true });
const executions = targets.reduce((sum, target) => sum + target.executions, 0);
const path =
  values.out ?? join(ROOT, 'bench/results', `${machine.date.slice(0, 10)}-${cpuSlug()}-fuzzing.json`);
writeResult(path, { machine, executions, failures: 0, targets });
console.table(targets.map(({ allowed: _, ...seen }) => seen));
console.log(`${executions} executions without a failure; ${relative(ROOT, path)}`);
