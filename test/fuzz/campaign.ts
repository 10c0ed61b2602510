/**
 * Feeds hostile inputs to a part of the package and looks at what comes of each: nothing but results and GruErrors, soon,
 * with no more memory than a stated multiple of the input. Inputs come from fast-check, so that a failure is made small
 * and can be run again.
 *
 * - `GRU_FUZZ_SECONDS`: go on for so long in place of a fixed number of inputs (npm run fuzz; 60 in npm run test:long)
 * - `GRU_FUZZ_SEED`, `GRU_FUZZ_PATH`: the seed, and the input of it, that a failure names
 * - `GRU_FUZZ_REPORT`: a file to which a line of JSON about each target is added
 */

import { appendFileSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ErrorCode, GruError } from '../../src/errors.js';

/** A part of the package under attack. */
export interface Target<T> {
  name: string;
  inputs: fc.Arbitrary<T>;
  /** What the part gets: its length is what memory is measured against, and a failure leaves it behind. */
  bytes: (input: T) => Uint8Array;
  /**
   * Gives it to the part and checks the outcome; throws where that is wrong.
   *
   * @returns whether it was accepted
   */
  attack: (input: T) => boolean | Promise<boolean>;
  /** Inputs in `npm test`. */
  runs: number;
  /** Bytes of memory that an input may take: `times` its own, and `beside`. */
  allowed: { times: number; beside: number };
  /** Of all inputs, the least and the greatest share that is accepted: else the inputs show nothing. */
  accepted: readonly [least: number, greatest: number];
}

/** No input may take longer, in milliseconds, on the slowest machine; after five times as long the process ends. */
const SLOWEST = 2000;
/** Characters of a report; the input is in a file. */
const LONGEST_REPORT = 3000;
const { GRU_LONG, GRU_FUZZ_SEED, GRU_FUZZ_PATH, GRU_FUZZ_REPORT } = process.env;
const { GRU_FUZZ_SECONDS = GRU_LONG && '60' } = process.env;
const seconds = GRU_FUZZ_SECONDS === undefined ? undefined : Number(GRU_FUZZ_SECONDS);
const seed = Number(GRU_FUZZ_SEED ?? 1);

/** Passes when the error is one that this part may give, told in two lines. */
export function expectRefusal(thrown: unknown, ...codes: ErrorCode[]): false {
  if (!(thrown instanceof GruError)) throw thrown;
  const { code, message, hint } = thrown;
  const line = /^[^\p{Cc}\p{Zl}\p{Zp}]{1,2001}$/u;
  if (!codes.includes(code) || !line.test(message) || !line.test(hint)) {
    throw new Error(`expected ${codes} in two lines, received ${code}, ${JSON.stringify([message, hint])}`);
  }
  return false;
}

/** Bytes that are in use: V8's objects, and array buffers. */
function memory(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}

/** Bytes that were asked for with `new Uint8Array`: what is collected at once, V8's count does not show. */
let asked = 0;
const PlainArray = globalThis.Uint8Array;
const CountingArray = new Proxy(PlainArray, {
  construct: (target, args) => {
    if (typeof args[0] === 'number') asked += args[0];
    return Reflect.construct(target, args);
  },
});

/** Counts inputs; a thread looks at it, and ends a process in which one input does not end. */
const progress = new BigInt64Array(new SharedArrayBuffer(8));
const WATCH = `
  const { workerData: { progress, limit, seed } } = require('node:worker_threads');
  let before = -1n;
  setInterval(() => {
    const now = Atomics.load(progress, 0);
    if (now === before && now % 2n === 1n) {
      require('node:fs').writeSync(2, 'an input does not end: number ' + now / 2n + ' of seed ' + seed + '\\n');
      process.kill(process.pid, 'SIGKILL');
    }
    before = now;
  }, limit);`;

/** Declares the test of a target. */
export function fuzz<T>(target: Target<T>): void {
  const { name, inputs, bytes, attack, runs, allowed, accepted } = target;
  let watch: Worker;
  beforeAll(() => {
    watch = new Worker(WATCH, { eval: true, workerData: { progress, limit: 5 * SLOWEST, seed } });
  });
  afterAll(() => watch.terminate());
  const timeout = 1000 * ((seconds ?? 30) + 60);
  test(`fuzzing ${name}`, { timeout }, async () => {
    const seen = { executions: 0, accepted: 0, bytes: 0 };
    const most = { slowestMilliseconds: 0, largestBytes: 0, largestRatio: 0 };
    const property = fc.asyncProperty(inputs, async (input) => {
      const { length } = bytes(input);
      Atomics.add(progress, 0, 1n);
      globalThis.Uint8Array = CountingArray;
      asked = 0;
      const before = memory();
      const began = performance.now();
      let isAccepted: boolean | Promise<boolean>;
      try {
        isAccepted = attack(input);
        if (typeof isAccepted !== 'boolean') isAccepted = await isAccepted;
      } finally {
        globalThis.Uint8Array = PlainArray;
      }
      const taken = performance.now() - began;
      const used = Math.max(memory() - before, asked);
      Atomics.add(progress, 0, 1n);
      seen.executions++;
      seen.bytes += length;
      if (isAccepted) seen.accepted++;
      most.slowestMilliseconds = Math.max(most.slowestMilliseconds, taken);
      most.largestBytes = Math.max(most.largestBytes, used);
      most.largestRatio = Math.max(most.largestRatio, (used - allowed.beside) / Math.max(length, 1));
      if (taken > SLOWEST)
        throw new Error(`expected an end within ${SLOWEST} ms, received one after ${taken}`);
      const limit = allowed.times * length + allowed.beside;
      if (used > limit)
        throw new Error(`expected at most ${limit} bytes for ${length}, received ${used} bytes used`);
    });
    const began = performance.now();
    const details = await fc.check(property, {
      seed,
      ...(GRU_FUZZ_PATH === undefined ? {} : { path: GRU_FUZZ_PATH }),
      ...(seconds === undefined
        ? { numRuns: runs }
        : { numRuns: 2 ** 31 - 1, interruptAfterTimeLimit: 1000 * seconds }),
    });
    if (details.failed) {
      const file = join(mkdtempSync(join(tmpdir(), 'gru-native-hostile-')), 'input');
      if (details.counterexample !== null) writeFileSync(file, bytes(details.counterexample[0]));
      const replay = `GRU_FUZZ_SEED=${details.seed} GRU_FUZZ_PATH=${details.counterexamplePath}`;
      const again = `again: ${replay} npx vitest run test/fuzz -t "${name}"`;
      throw new Error(
        `${details.errorInstance}\n${fc.defaultReportMessage(details)?.slice(0, LONGEST_REPORT)}\nthe input: ${file}\n${again}`,
      );
    }
    if (GRU_FUZZ_REPORT !== undefined) {
      const took = { seconds: (performance.now() - began) / 1000, ...most };
      const limits = `${allowed.times} x input + ${allowed.beside} bytes`;
      const report = { target: name, seed, ...seen, ...took, allowed: limits };
      appendFileSync(GRU_FUZZ_REPORT, `${JSON.stringify(report)}\n`);
    }
    if (GRU_FUZZ_PATH !== undefined || seen.executions < 500) return;
    const share = seen.accepted / seen.executions;
    expect(share, 'share of accepted inputs').toBeGreaterThanOrEqual(accepted[0]);
    expect(share, 'share of accepted inputs').toBeLessThanOrEqual(accepted[1]);
  });
}
