/** What a long training takes as it goes on: memory, handles and threads of the command line's process. Linux only. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describeMachine, ROOT } from './machine.mjs';
import { Failure } from './options.mjs';
import { columns, median, percentOff } from './statistics.mjs';

/** Epochs unless told otherwise. */
export const EPOCHS = 10_000;
/** Samples taken over a run, evenly. */
const SAMPLES = 100;
/** Epochs after which memory should stay as it is: V8's heap, the compiled code and the allocator have their sizes. */
const WARM_UP = 1000;

/** A small job, which reports and saves now and then and writes its event log. */
const JOB = [
  ...['--device', 'cpu', '--hidden-size', '16', '--batch-size', '4', '--num-steps', '8'],
  ...['--report-every', '100', '--sample-length', '20', '--prefix', 'ab', '--json'],
];

/**
 * @typedef {object} Sample
 * @property {number} epoch the last one that was reported, about
 * @property {number} resident memory in KiB
 * @property {number} handles open files, sockets and the like
 * @property {number} threads
 */

/**
 * Trains in a process of its own and looks at it from outside.
 *
 * @param {number} epochs
 * @param {number} threads
 */
export async function measureLongRun(epochs, threads) {
  const folder = mkdtempSync(join(tmpdir(), 'gru-native-long-run-'));
  try {
    const text = join(folder, 'text.txt');
    // Every pair of 16 characters, which no model of the size learns by heart.
    writeFileSync(
      text,
      Array.from({ length: 600 }, (_, i) => 'abcdefghijklmnop'[(i * i + (i >> 4)) % 16]).join(''),
    );
    const main = join(ROOT, 'dist/cli/main.js');
    const args = [main, 'train', text, ...JOB, '--epochs', `${epochs}`, '--threads', `${threads}`, '--out'];
    const child = spawn(process.execPath, [...args, join(folder, 'out')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const closed = once(child, 'close');
    let warnings = '';
    child.stderr.on('data', (chunk) => {
      warnings += chunk;
    });
    /** @type {Sample[]} */
    const samples = [];
    let done = 0;
    for await (const line of createInterface(child.stdout)) {
      const event = JSON.parse(line);
      if (event.type !== 'epoch') continue;
      done = event.epoch;
      if (done < ((samples.length + 1) * epochs) / SAMPLES) continue;
      const sample = look(/** @type {number} */ (child.pid));
      if (sample !== undefined) samples.push({ epoch: done, ...sample });
    }
    const [code, signal] = await closed;
    if (code !== 0 || signal !== null || done !== epochs) {
      throw new Failure(`the run ended with ${code ?? signal} after ${done} epochs: ${warnings}`);
    }
    return {
      command: ['gru-native', 'train', ...JOB],
      epochs,
      warnings,
      ...judged(samples, epochs),
      samples,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @typedef {Awaited<ReturnType<typeof measureLongRun>>} LongRun */

/**
 * What Linux knows of a process; undefined when it has ended.
 *
 * @param {number} pid
 */
function look(pid) {
  try {
    const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    if (resident === undefined) return undefined;
    const [handles, threads] = ['fd', 'task'].map((name) => readdirSync(`/proc/${pid}/${name}`).length);
    return { resident: Number(resident), handles, threads };
  } catch {
    return undefined;
  }
}

/**
 * How memory, handles and threads went after the warm-up: from the median of the first quarter to that of the last.
 * Between two quarters nothing is left of what comes and goes, such as a file that is just being written.
 *
 * @param {readonly Sample[]} samples
 */
export function judged(samples) {
  const warm = samples.filter(({ epoch }) => epoch > WARM_UP);
  if (warm.length < 8) throw new Failure(`expected 8 samples after the warm-up, received ${warm.length}`);
  const quarter = Math.floor(warm.length / 4);
  const change = (/** @type {'resident' | 'handles' | 'threads'} */ key) => {
    const values = warm.map((sample) => sample[key]);
    const [first, last] = [values.slice(0, quarter), values.slice(-quarter)];
    return { first: median(first), last: median(last), ratio: median(last) / median(first) };
  };
  return { resident: change('resident'), handles: change('handles'), threads: change('threads') };
}

/**
 * The result as text.
 *
 * @param {object} result
 * @param {import('./machine.mjs').MachineFacts} result.machine
 * @param {LongRun} result.longRun
 */
export function longRunReport({ machine, longRun: { epochs, resident, handles, threads } }) {
  const rows = Object.entries({ 'resident memory, KiB': resident, handles, threads });
  const table = columns([
    ['', 'first quarter', 'last quarter', 'change'],
    ...rows.map(([name, { first, last, ratio }]) => [name, `${first}`, `${last}`, percentOff(ratio)]),
  ]);
  return `${describeMachine(machine)}\n\n${epochs} epochs, the first ${WARM_UP} left out; medians\n${table}\n`;
}
