/**
 * What an update at the chapter's sizes may cost, part by part, and what it costs: the one home of the budget.
 * Estimates for an H100, made before anything was measured; microseconds.
 */

import { short } from './verdict.mjs';

/**
 * @typedef {object} Part One part of the budget.
 * @property {string} name
 * @property {RegExp} kernels what runs in it, by the names of kernels
 * @property {Readonly<Record<string, number>>} microseconds by precision; `steps` where that differs if each time step
 *   is a launch, always in f32
 *
 * @typedef {object} Timed One path, as the program gpu_timing prints it.
 * @property {string} precision
 * @property {string} recurrence `steps` or the name of a persistent pair
 * @property {number} epochSeconds
 * @property {number} updateMicroseconds from a captured sequence
 * @property {number} launches of an update
 * @property {number} kernelMicroseconds sum of the launches, each by itself
 * @property {readonly { kernel: string, launches: number, microseconds: number }[]} kernels
 *
 * @typedef {object} Row What a part took beside what it may take.
 * @property {string} name
 * @property {number} microseconds
 * @property {number} budget
 * @property {number} [ratio] measured / budget, where there is one
 */

/** @type {readonly Part[]} */
export const BUDGET = [
  {
    name: 'forward recurrence',
    kernels: /^(step_forward|forward_\w+)$/,
    microseconds: { fp32: 24, tf32: 15, bf16: 13, steps: 105 },
  },
  {
    name: 'logits',
    kernels: /^projection_\w+$/,
    microseconds: { fp32: 18, tf32: 6, bf16: 4 },
  },
  {
    name: 'softmax, loss',
    kernels: /^softmax_loss$/,
    microseconds: { fp32: 4, tf32: 4, bf16: 3 },
  },
  {
    name: 'hidden gradient',
    kernels: /^hidden_gradient_\w+$/,
    microseconds: { fp32: 18, tf32: 6, bf16: 4 },
  },
  {
    name: 'BPTT',
    kernels: /^(step_backward|backward_\w+)$/,
    microseconds: { fp32: 27, tf32: 17, bf16: 15, steps: 120 },
  },
  {
    name: 'weight gradients',
    kernels: /^((recurrent|output)_gradient_\w+|input_gradient|bias_gradients)$/,
    microseconds: { fp32: 28, tf32: 10, bf16: 6 },
  },
  {
    name: 'clip, SGD',
    kernels: /^(report_update|descend)$/,
    microseconds: { fp32: 4, tf32: 4, bf16: 4 },
  },
  {
    name: 'rest',
    kernels: /^(begin_update|carry_state)$/,
    microseconds: { fp32: 6, tf32: 6, bf16: 6, steps: 0 },
  },
];

/** How far the sum of the kernels may be from that of the launches: each is rounded to a hundredth. */
const ROUNDING = 0.02;

/**
 * What is wrong with the times of a path, as sentences: every launch belongs to one part, and every part ran.
 *
 * @param {Timed} timed
 */
export function budgetProblems(timed) {
  const path = `${timed.precision}, ${timed.recurrence}`;
  const problems = [];
  const sum = (/** @type {'launches' | 'microseconds'} */ what) =>
    timed.kernels.reduce((total, kernel) => total + kernel[what], 0);
  if (sum('launches') !== timed.launches) {
    problems.push(`${path}: expected ${timed.launches} launches, received ${sum('launches')}`);
  }
  const [received, expected] = [sum('microseconds'), timed.kernelMicroseconds];
  if (!(Math.abs(received - expected) <= ROUNDING * timed.kernels.length)) {
    problems.push(`${path}: expected ${expected} µs of all kernels, received ${short(received)}`);
  }
  for (const { kernel } of timed.kernels) {
    const count = BUDGET.filter((part) => part.kernels.test(kernel)).length;
    if (count !== 1)
      problems.push(`${path}: expected ${kernel} in one part of the budget, received ${count}`);
  }
  for (const { name, microseconds } of rowsOf(timed)) {
    if (!(microseconds > 0)) problems.push(`${path}: expected a time of ${name}, received ${microseconds}`);
  }
  return problems;
}

/**
 * Each part of an update beside its budget.
 *
 * @param {Timed} timed
 * @returns {Row[]}
 */
export function rowsOf(timed) {
  return BUDGET.map(({ name, kernels, microseconds }) => {
    const taken = timed.kernels
      .filter(({ kernel }) => kernels.test(kernel))
      .reduce((sum, kernel) => sum + kernel.microseconds, 0);
    const inSteps = timed.recurrence === 'steps' ? microseconds.steps : undefined;
    const budget = inSteps ?? microseconds[timed.precision];
    return { name, microseconds: taken, budget, ...(budget > 0 ? { ratio: taken / budget } : {}) };
  });
}

/**
 * The table: a row for each part, for each path what it took, what it may take, and the ratio. The sum is of kernels
 * one after the other; an update from a captured sequence has some of them side by side, and gaps between them.
 *
 * @param {readonly Timed[]} paths
 */
export function budgetTable(paths) {
  const cell = (/** @type {number} */ taken, /** @type {number} */ budget) => {
    const ratio = budget > 0 ? `, ${(taken / budget).toFixed(2)}x` : '';
    return `${taken.toFixed(1)} of ${budget}${ratio}`;
  };
  const all = paths.map((timed) => ({ timed, rows: rowsOf(timed) }));
  const total = ({ rows }, /** @type {'microseconds' | 'budget'} */ what) =>
    rows.reduce((/** @type {number} */ sum, /** @type {Row} */ row) => sum + row[what], 0);
  const lines = [
    ['µs of an update', ...paths.map(({ precision, recurrence }) => `${precision}, ${recurrence}`)],
    ...BUDGET.map(({ name }, index) => [
      name,
      ...all.map(({ rows }) => cell(rows[index].microseconds, rows[index].budget)),
    ]),
    ['sum', ...all.map((one) => cell(total(one, 'microseconds'), total(one, 'budget')))],
    ['captured', ...all.map((one) => cell(one.timed.updateMicroseconds, total(one, 'budget')))],
  ];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines
    .map((line) =>
      line
        .map((text, column) => text.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
