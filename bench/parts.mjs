/** Where the time of an update goes, and how it grows with the sizes: by crates/gru-core/examples/update_parts.rs. */

import { spawnSync } from 'node:child_process';
import { flopPerUpdate } from './jobs.mjs';
import { ROOT } from './machine.mjs';
import { Failure } from './options.mjs';
import { median } from './statistics.mjs';

/** Rounds of updates, each after a measurement of the peak. */
const ROUNDS = 9;

/**
 * @typedef {object} Sizes
 * @property {number} vocabSize
 * @property {number} hiddenSize
 * @property {number} batchSize
 * @property {number} numSteps
 */

/** The sizes around which the scaling is measured, the book chapter's, and what each is varied over. */
const CENTRE = { vocabSize: 1465, hiddenSize: 256, batchSize: 32, numSteps: 35 };
const VARIED = {
  hiddenSize: [64, 128, 256, 512, 1024],
  vocabSize: [65, 256, 1465, 5000],
  batchSize: [1, 2, 4, 8, 16, 32, 64, 128],
  numSteps: [5, 16, 35, 64, 128],
};

/**
 * Times updates of the given sizes. A round's share of the peak is what its updates reached of the multiply-adds that
 * the machine did just before.
 *
 * @param {Sizes} sizes
 * @param {number} threads
 * @param {number} rounds
 */
export function measureParts(sizes, threads, rounds = ROUNDS) {
  const { vocabSize, hiddenSize, batchSize, numSteps } = sizes;
  const example = [
    'run',
    '--release',
    '--locked',
    '--quiet',
    '-p',
    'gru-core',
    '--example',
    'update_parts',
    '--',
  ];
  const numbers = [threads, vocabSize, hiddenSize, batchSize, numSteps, rounds].map(String);
  const { status, stdout, stderr, error } = spawnSync('cargo', [...example, ...numbers], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Failure(error?.message ?? stderr.trim());
  const { path, milliseconds, fma, parts } = JSON.parse(stdout);
  const gflop = flopPerUpdate(sizes) / 1e9;
  const gflops = milliseconds.map((/** @type {number} */ time) => (gflop / time) * 1000);
  /** @type {number[]} */
  const shares = fma.includes(null)
    ? []
    : gflops.map((/** @type {number} */ speed, /** @type {number} */ round) => speed / fma[round]);
  const flopOfPart = flopOfParts(sizes);
  const peak = fma.includes(null) ? null : median(fma);
  const table = Object.entries(parts).map(([name, time]) => {
    const speed = name in flopOfPart ? flopOfPart[name] / 1e6 / time : null;
    return { name, milliseconds: time, gflopPerSecond: speed, shareOfFma: speed && peak && speed / peak };
  });
  return {
    ...sizes,
    path,
    milliseconds: median(milliseconds),
    best: Math.min(...milliseconds),
    gflopPerSecond: median(gflops),
    peak,
    shareOfFma: shares.length === 0 ? null : { median: median(shares), best: Math.max(...shares) },
    parts: table,
  };
}

/** @typedef {ReturnType<typeof measureParts>} Parts */

/**
 * Floating-point operations of the parts that are products, by the names that the program gives them.
 *
 * @param {Sizes} sizes
 * @returns {Record<string, number>}
 */
function flopOfParts({ vocabSize, hiddenSize, batchSize, numSteps }) {
  const rows = batchSize * numSteps;
  const recurrence = 2 * rows * hiddenSize * 3 * hiddenSize;
  const projection = 2 * rows * hiddenSize * vocabSize;
  return {
    'recurrence forward and gates': recurrence,
    projection,
    'dh from the logits': projection,
    BPTT: recurrence,
    dW_y: projection,
    dW_h: recurrence,
  };
}

/**
 * The chapter's sizes, with one of them varied at a time.
 *
 * @param {number} threads
 * @param {(step: string) => void} say
 */
export function measureScaling(threads, say) {
  return Object.entries(VARIED).map(([name, values]) => ({
    name,
    rows: values.map((value) => {
      say(`scaling: ${name} ${value}`);
      return measureParts({ ...CENTRE, [name]: value }, threads, 5);
    }),
  }));
}

/** @typedef {ReturnType<typeof measureScaling>} Scaling */
