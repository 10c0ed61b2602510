/** What `npm run gpu:check` makes of times: an update beside its budget, the chapter's run beside what it is to reach. */

import { describe, expect, test } from 'vitest';
import { FOLDER, MICRO, timedPath, timedSteps } from './gpu-check-bundle.js';

const load = (name: string) => import(new URL(name, FOLDER).href);
const { BUDGET, budgetProblems, budgetTable, rowsOf } = await load('budget.mjs');
const { figuresOf, figuresText, precisionProblems } = await load('figures.mjs');
const { microProblems, timingProblems } = await load('timing.mjs');

describe('an update beside its budget', () => {
  const good = timedPath('tf32');

  test('every precision has every part, and the columns are those of the sums', () => {
    const budgets = (timed: object) =>
      rowsOf(timed).reduce((total: number, row: { budget: number }) => total + row.budget, 0);
    expect(['fp32', 'tf32', 'bf16'].map((one) => budgets(timedPath(one)))).toEqual([129, 68, 55]);
    expect(['fp32', 'tf32', 'bf16'].map((one) => budgets(timedSteps(one)))).toEqual([297, 255, 246]);
  });

  test('kernels are summed to parts', () => {
    expect(budgetProblems(good)).toEqual([]);
    const rows = Object.fromEntries(rowsOf(good).map((row: { name: string }) => [row.name, row]));
    expect(rows['weight gradients']).toMatchObject({ microseconds: 4, budget: 10, ratio: 0.4 });
    expect(rows.BPTT).toMatchObject({ microseconds: 1, budget: 17 });
    const steps = Object.fromEntries(
      rowsOf(timedSteps('fp32')).map((row: { name: string }) => [row.name, row]),
    );
    expect(steps['forward recurrence']).toMatchObject({ microseconds: 35, budget: 105 });
  });

  test('the table has a row for each part and a column for each path', () => {
    const lines = budgetTable([good, timedSteps('fp32')]).split('\n');
    expect(lines).toHaveLength(BUDGET.length + 3);
    expect(lines[0]).toMatch(/tf32, cluster_tf32_256 +fp32, steps$/);
    expect(lines[1]).toMatch(/^forward recurrence +1\.0 of 15, 0\.07x +35\.0 of 105, 0\.33x$/);
    expect(lines.at(-2)).toMatch(/^sum +13\.0 of 68, 0\.19x +81\.0 of 297/);
    expect(lines.at(-1)).toMatch(/^captured +12\.0 of 68, 0\.18x/);
  });

  test('a wrong sum, a missing part and a kernel of no part are noticed', () => {
    expect(budgetProblems({ ...good, kernelMicroseconds: 20 })[0]).toContain('expected 20 µs of all kernels');
    const without = (name: string) => good.kernels.filter(({ kernel }) => kernel !== name);
    const missing = { ...good, launches: 12, kernelMicroseconds: 12, kernels: without('softmax_loss') };
    expect(budgetProblems(missing)).toEqual([
      'tf32, cluster_tf32_256: expected a time of softmax, loss, received 0',
    ]);
    expect(budgetProblems({ ...missing, launches: 13 })[0]).toContain('expected 13 launches, received 12');
    const kernels = good.kernels.map((one) =>
      one.kernel === 'descend' ? { ...one, kernel: 'another' } : one,
    );
    expect(budgetProblems({ ...good, kernels })).toEqual([
      'tf32, cluster_tf32_256: expected another in one part of the budget, received 0',
    ]);
    expect(budgetProblems({ ...good, kernels: [] })).not.toEqual([]);
  });

  test('every precision has to be timed, on the plain steps too', () => {
    const cold = { openSeconds: 1, contextSeconds: 1, moduleSeconds: 1 };
    const paths = ['fp32', 'tf32', 'bf16'].flatMap((one) => [timedPath(one), timedSteps(one)]);
    expect(timingProblems(cold, { ...cold, paths })).toEqual([]);
    expect(timingProblems(cold, { ...cold, paths: paths.slice(0, 5) })).toEqual([
      'expected times above 0 for the plain steps in bf16',
    ]);
    const still = paths.map((path) => ({ ...path, updateMicroseconds: 0 }));
    expect(timingProblems({}, { ...cold, paths: still })[0]).toMatch(
      /openSeconds \(cold\).*updateMicroseconds \(fp32/,
    );
  });
});

describe('what is measured and reached', () => {
  test('what was measured one by one has to be there', () => {
    expect(microProblems(MICRO)).toEqual([]);
    expect(microProblems({})).toHaveLength(3);
    const none = MICRO.kernels.map((kernel) => ({ ...kernel, cyclesPerRound: 0 }));
    expect(microProblems({ ...MICRO, kernels: none })[0]).toContain('cycles of round_trip_async');
  });

  test('figures are reached or not, by precision', () => {
    const figures = ['fp32', 'bf16'].map((precision) =>
      figuresOf({ precision, loopSeconds: 0.5, wallSeconds: 1.5 }),
    );
    expect(figures.map(({ loop, wall }) => [loop.reached, wall.reached])).toEqual([
      [true, true],
      [false, true],
    ]);
    expect(figuresText(figures).split('\n')[1]).toBe(
      'bf16 loop 0.5 s of 0.3 (not reached), wall 1.5 s of 1.5 (reached)',
    );
    const never = figuresOf({ precision: 'tf32', loopSeconds: Number.NaN, wallSeconds: 2 });
    expect([never.loop.reached, never.wall.reached]).toEqual([false, false]);
  });

  test('another precision has to end where fp32 does', () => {
    expect(precisionProblems('bf16', [300, 1.08], [200, 1.04])).toEqual([]);
    expect(precisionProblems('bf16', [300, 1.1], [200, 1.04])[0]).toContain('bf16, epoch 2');
    expect(precisionProblems('bf16', [1.04], [200, 1.04])).toHaveLength(1);
    expect(precisionProblems('bf16', [], [])).toHaveLength(1);
    expect(precisionProblems('tf32', [Number.NaN], [1])).toHaveLength(1);
  });
});
