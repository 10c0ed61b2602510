/**
 * Child processes with a time limit. Each heads a process group of its own, so that whatever it started ends
 * with it, and nothing else does.
 */

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Characters of each stream that are kept: the last ones. */
const KEPT = 2 ** 21;
/** How long a killed process may take to go; one that hangs in a driver is left behind. */
const GRACE_MS = 1000;
/** Lines of output that go with a failure. */
const TAIL_LINES = 40;

/**
 * @typedef {object} Finished
 * @property {number | null} code null when a signal ended it, or when it did not start
 * @property {string} stdout
 * @property {string} stderr
 * @property {number} seconds
 * @property {string | undefined} problem why it did not end by itself, in words
 */

/** Ends the running processes, for a reason in words. @type {Set<(why: string) => void>} */
const running = new Set();

/** Why nothing is started any more. @type {string | undefined} */
let closed;

/** Ends every process that was started here and still runs, and starts no more. */
export function stopAll(/** @type {string} */ why) {
  closed = why;
  for (const stop of running) stop(why);
}

/**
 * Runs a program to its end, or kills it when its time is over.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {object} options
 * @param {number} options.seconds time limit
 * @param {string} [options.cwd]
 * @param {Record<string, string>} [options.env] added to this process's own
 * @param {(line: string, seconds: number) => void} [options.onLine] gets each line of stdout when it is whole
 * @returns {Promise<Finished>}
 */
export function run(program, args, { seconds, cwd, env = {}, onLine }) {
  const limit = Math.round(seconds * 10) / 10;
  const refused = closed ?? (seconds > 0 ? undefined : 'no time was left');
  if (refused !== undefined) {
    return Promise.resolve({ code: null, stdout: '', stderr: '', seconds: 0, problem: refused });
  }
  return new Promise((resolve) => {
    const start = performance.now();
    const elapsed = () => (performance.now() - start) / 1000;
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const output = { stdout: '', stderr: '' };
    for (const name of /** @type {const} */ (['stdout', 'stderr'])) {
      child[name].setEncoding('utf8').on('data', (text) => {
        output[name] += text;
        if (output[name].length > 2 * KEPT) output[name] = output[name].slice(-KEPT);
      });
    }
    if (onLine) createInterface({ input: child.stdout }).on('line', (line) => onLine(line, elapsed()));

    /** @type {string | undefined} */
    let problem;
    const finish = (/** @type {number | null} */ code) => {
      if (!running.delete(stop)) return; // it went while the grace was running out
      clearTimeout(overdue);
      killGroup(child.pid);
      resolve({ code, ...output, seconds: elapsed(), problem });
    };
    const stop = (/** @type {string} */ why) => {
      problem ??= why;
      killGroup(child.pid);
      setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
        child.unref();
        finish(null);
      }, GRACE_MS).unref();
    };
    const overdue = setTimeout(() => stop(`not finished within ${limit} s`), seconds * 1000);
    running.add(stop);
    child.on('error', (error) => {
      problem ??= error.message;
      finish(null);
    });
    child.on('close', (code, signal) => {
      if (signal !== null) problem ??= `ended by ${signal}`;
      finish(code);
    });
  });
}

/** Kills a process group; one that is gone already is no error. */
function killGroup(/** @type {number | undefined} */ pid) {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** Why a process counts as failed, in words; undefined when it ended with 0. */
export function failureOf(/** @type {Finished} */ { code, problem }) {
  if (problem !== undefined) return problem;
  return code === 0 ? undefined : `exit code ${code}`;
}

/** The last lines of what a process wrote, for the report of a failure. */
export function tail(/** @type {Finished} */ { stdout, stderr }) {
  return [stdout, stderr].flatMap((text) => text.trimEnd().split('\n').slice(-TAIL_LINES)).filter(Boolean);
}
