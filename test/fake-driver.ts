/**
 * The fake driver of crates/gru-cuda-fake-driver where NVIDIA's would be looked for: it runs the kernels on the
 * emulator and fails in whatever way it is told.
 */

import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { addonPath } from '../src/native.js';
import { type Finished, type Running, start } from './cli/command.js';

/** The names that a driver is looked for under. The first alone would let a machine's own driver answer to others. */
const NAMES = ['libcuda.so', 'libcuda.so.1'];

/** A folder for each library that takes the driver's place. */
const libraries = mkdtempSync(join(tmpdir(), 'gru-native-driver-'));

/** Puts bytes where the driver is looked for. */
export function installDriver(name: string, bytes: Uint8Array): void {
  mkdirSync(join(libraries, name));
  for (const file of NAMES) writeFileSync(join(libraries, name, file), bytes);
}

/** Builds the fake driver before the tests of a file and installs it as `fake`; `more` may install others. */
export function useFakeDriver(more: (fake: Buffer) => void = () => {}): void {
  beforeAll(async () => {
    const { buildFakeDriver } = await import(new URL('../scripts/fake-driver.mjs', import.meta.url).href);
    const fake = readFileSync(buildFakeDriver());
    installDriver('fake', fake);
    more(fake);
  }, 600_000);
  afterAll(() => rmSync(libraries, { recursive: true, force: true }));
}

/** The environment of a process that finds that driver and tells it how to behave. */
function driverEnvironment(behaviour: string, driver = 'fake'): Record<string, string> {
  return { LD_LIBRARY_PATH: join(libraries, driver), GRU_FAKE_DRIVER: behaviour };
}

/** Starts a command with that driver. */
export function startWithDriver(
  cwd: string,
  args: readonly string[],
  behaviour = '',
  { driver = 'fake', env = {} }: { driver?: string; env?: Record<string, string> } = {},
): Running {
  return start(cwd, args, '', { ...driverEnvironment(behaviour, driver), GRU_NATIVE_CACHE: cwd, ...env });
}

/** Runs a command with that driver to its end. */
export function runWithDriver(...args: Parameters<typeof startWithDriver>): Promise<Finished> {
  return startWithDriver(...args).finished;
}

/** Options of a training that the emulator does in a moment. */
export const SMALL_JOB = [
  ...['--hidden-size', '20', '--batch-size', '3', '--num-steps', '4', '--max-chars', '120'],
  ...['--report-every', '2', '--sample-length', '6', '--init-scale', '0.1', '--epochs', '2'],
];

/** The two lines that an error is told in. */
export function errorLines({ stderr }: Finished): [cause: string, remedy: string] {
  const lines = stderr.trimEnd().split('\n');
  const begin = lines.findIndex((line) => line.startsWith('error: '));
  if (begin !== lines.length - 2) throw new Error(`expected an error of two lines, received ${stderr}`);
  return lines.slice(begin) as [string, string];
}

/**
 * Runs a script in a Node of its own that finds the fake driver. The script has `Network`, `sizes` of a small one,
 * and `failure`, which turns a promise into the code that it rejects with. Gives what it printed.
 */
export function nodeWithDriver(
  script: string,
  behaviour: string,
  env: Record<string, string> = {},
): Promise<string> {
  const options = {
    env: { ...process.env, ...driverEnvironment(behaviour), ...env },
    timeout: 20_000,
    killSignal: 'SIGKILL',
  } as const;
  const prelude = `const { Network } = require(${JSON.stringify(addonPath)});
    const sizes = { vocabSize: 5, hiddenSize: 4, batchSize: 2, numSteps: 3 };
    const failure = (promise) => promise.then(() => 'done', (error) => error.code);`;
  return new Promise((resolve) => {
    execFile(process.execPath, ['-e', prelude + script], options, (_, stdout, stderr) =>
      resolve(stdout + stderr),
    );
  });
}
