/**
 * Scripts in a Node of their own, with a small network at hand: for what ends a process, or is counted in one. They use
 * the addon alone, so that each begins in a tenth of a second.
 */

import { execFile } from 'node:child_process';
import { addonPath } from '../src/native.js';

/**
 * What a script begins with: `network`, a small one, which `ready` fills and `run` trains without an end, waiting until
 * it trains; and what Linux knows of the process: `threads`, those whose names begin so (`gru-` has all of ours),
 * and `resident`, the memory in KiB.
 */
const PRELUDE = `
  const { CancelFlag, Generation, Network } = require(${JSON.stringify(addonPath)});
  const sizes = { vocabSize: 50, hiddenSize: 64, batchSize: 8, numSteps: 35, threads: 2 };
  const network = new Network(sizes);
  const { readdirSync, readFileSync } = require('node:fs');
  const nameOf = (thread) => {
    try { return readFileSync('/proc/self/task/' + thread + '/comm', 'utf8'); } catch { return ''; }
  };
  const threads = (name) => readdirSync('/proc/self/task').filter((thread) => nameOf(thread).startsWith(name)).length;
  const resident = () => Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  /** Waits up to 10 s until so many threads of that name are left; gives how many are. */
  const left = async (name, count, meanwhile = () => {}) => {
    for (let i = 0; i < 500 && threads(name) !== count; i++) {
      meanwhile();
      await pause(20);
    }
    return threads(name);
  };
  const starts = new Int32Array(8 * 500_000);
  const plan = { starts, numSteps: 35, learningRate: new Float32Array(500_000), maxGradNorm: 5, carryState: false };
  const short = { ...plan, starts: starts.subarray(0, 800), learningRate: new Float32Array(100).fill(0.1) };
  const fill = (one) => Promise.all([one.initialize(0, 0.1), one.loadCorpus(new Uint32Array(100))]);
  const ready = () => fill(network);
  const run = async () => {
    await ready();
    return new Promise((started) => {
      const ended = network.trainEpoch(plan, null, () => started({ ended }));
    });
  };
`;

/** How a script ended. */
export interface Ended {
  code: unknown;
  signal: unknown;
  /** What it printed, stderr after stdout. */
  output: string;
}

/** A script that ended by itself and printed that. */
export const clean = (output: string, code = 0): Ended => ({ code, signal: null, output });

/** The text of a script for a worker thread, as a literal: the prelude and what follows. */
export const threadScript = (script: string): string => JSON.stringify(PRELUDE + script);

/** Runs a script in a Node of its own, which is killed if it has not ended after `seconds`. */
export function node(script: string, { flags = [] as string[], seconds = 25 } = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...flags, '-e', PRELUDE + script],
      { timeout: seconds * 1000, killSignal: 'SIGKILL' },
      (_, stdout, stderr) =>
        resolve({ code: child.exitCode, signal: child.signalCode, output: stdout + stderr }),
    );
  });
}
