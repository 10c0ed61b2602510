/** Command lines of the benchmarks, and how they end when something is wrong. */

import { GruError } from '../dist/index.js';

/** What went wrong, in words that need no stack to go with them. */
export class Failure extends Error {}

/** Something is wrong with the command line. */
export class UsageError extends Failure {}

/**
 * @param {string} name such as `--epochs`
 * @param {string} text
 * @param {number} min
 */
export function wholeNumber(name, text, min = 1) {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= min) return value;
  throw new UsageError(`expected a whole number of at least ${min} for ${name}, received ${text}`);
}

/**
 * Says what went wrong and sets the exit code: 2 for the command line, 1 for everything else.
 *
 * @param {any} error
 */
export function fail(error) {
  const usage = error instanceof UsageError || error?.code?.startsWith?.('ERR_PARSE_ARGS');
  const system = error?.syscall !== undefined; // such as a file that is not there
  const plain = usage || system || error instanceof Failure || error instanceof GruError;
  process.stderr.write(`${plain ? error.message : (error?.stack ?? error)}\n`);
  if (error instanceof GruError) process.stderr.write(`${error.hint}\n`);
  if (usage) process.stderr.write('The options are listed at the head of the program.\n');
  process.exitCode = usage ? 2 : 1;
}
