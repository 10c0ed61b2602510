/** The small pure leaves of the trainer: schedule, clipping statistics, perplexity, config. */

import { expect, test } from 'vitest';
import { clippedShare, medianNorm } from '../src/clipping.js';
import { CONFIG_KEYS, carriesState, DEFAULT_CONFIG, resolveConfig } from '../src/config.js';
import { divergenceAdvice, highLoss } from '../src/divergence.js';
import { perplexity } from '../src/perplexity.js';
import { checkpointsAfter, learningRateAfter, learningRates, reportsAfter } from '../src/schedule.js';

test('reports come every so many epochs and at the end', () => {
  const reported = Array.from({ length: 50 }, (_, index) => index + 1).filter((epoch) =>
    reportsAfter({ reportEvery: 20, epochs: 50 }, epoch),
  );
  expect(reported).toEqual([20, 40, 50]);
});

test('checkpoints come with the reports, or every so many epochs, and at the end', () => {
  const epochs = Array.from({ length: 50 }, (_, index) => index + 1);
  const saved = (checkpointEvery: number | 'auto') =>
    epochs.filter((epoch) => checkpointsAfter({ checkpointEvery, reportEvery: 20, epochs: 50 }, epoch));
  expect(saved('auto')).toEqual([20, 40, 50]);
  expect(saved(15)).toEqual([15, 30, 45, 50]);
});

test('the learning rate is constant, and halved each time a run goes back', () => {
  expect([...learningRates(0.5, 3)]).toEqual([0.5, 0.5, 0.5]);
  expect([0, 1, 3].map((rollbacks) => learningRateAfter({ learningRate: 0.5 }, rollbacks))).toEqual([
    0.5, 0.25, 0.0625,
  ]);
});

test('a loss is far too high one nat above that of guessing', () => {
  expect(highLoss(1000)).toBeCloseTo(Math.log(1000 * Math.E), 12);
});

test('the advice for a run that diverged follows from what was seen', () => {
  const facts = { learningRate: 0.2, maxGradNorm: 5 };
  expect(divergenceAdvice(facts)).toMatch(/--learning-rate 0\.02 \(now 0\.2\)/);
  const clipped = divergenceAdvice({ ...facts, gradNormMedian: 48.123, clippedShare: 0.97 });
  expect(clipped).toMatch(/^97 % .* was 48\.1 with --max-grad-norm 5\).* by 1: try --learning-rate 0\.1 /);
  const free = divergenceAdvice({ ...facts, gradNormMedian: 1.5, clippedShare: 0.02 });
  expect(free).toMatch(/^2 % .*: try --max-grad-norm 1\.5, or --learning-rate 0\.1 /);
});

test('the clipped share counts norms above the limit, the median is the middle', () => {
  expect(clippedShare([1, 5, 5.01, 9], 5)).toBe(0.5);
  expect(medianNorm([9, 1, 5])).toBe(5);
  expect(medianNorm([9, 1, 5, 6])).toBe(5.5);
});

test('perplexity is exp of the mean loss', () => {
  expect(perplexity(Math.log(1465) * 10, 10)).toBeCloseTo(1465, 8);
  expect(perplexity(0, 3)).toBe(1);
  expect(perplexity(1e9, 1)).toBe(Infinity);
});

test("the defaults are the chapter's", () => {
  const { prefixes, ...rest } = DEFAULT_CONFIG;
  expect(rest).toEqual({
    maxChars: 20000,
    sampling: 'adjacent',
    stateReset: 'auto',
    epochs: 200,
    numSteps: 35,
    hiddenSize: 256,
    learningRate: 0.2,
    maxGradNorm: 5,
    batchSize: 32,
    reportEvery: 20,
    checkpointEvery: 'auto',
    keep: 0,
    onDivergence: 'stop',
    maxRollbacks: 3,
    sampleLength: 100,
    initScale: 0.01,
    seed: 0,
    precision: 'fp32',
    device: 'auto',
    threads: 'auto',
  });
  expect(prefixes).toEqual(['分开', '不分开', '战争中部队']);
  expect(resolveConfig({})).toEqual(DEFAULT_CONFIG);
  expect(CONFIG_KEYS).toHaveLength(21);
});

test('the state is carried for adjacent sampling, and for random when asked', () => {
  const cases = [
    ['adjacent', 'auto', true],
    ['random', 'auto', false],
    ['random', 'epoch', true],
    ['adjacent', 'batch', false],
  ] as const;
  for (const [sampling, stateReset, carried] of cases)
    expect(carriesState({ sampling, stateReset })).toBe(carried);
});

test.each([
  ['epochs', -1],
  ['epochs', 1.5],
  ['epochs', '20'],
  ['hiddenSize', 0],
  ['hiddenSize', 2 ** 31],
  ['numSteps', Number.NaN],
  ['learningRate', Number.NaN],
  ['learningRate', Infinity],
  ['learningRate', 1e-50],
  ['learningRate', -0.1],
  ['maxGradNorm', 0],
  ['maxGradNorm', Infinity],
  ['maxChars', 0],
  ['maxChars', 'some'],
  ['sampling', 'sorted'],
  ['seed', 2 ** 53],
  ['seed', -1],
  ['initScale', -1],
  ['prefixes', ['']],
  ['prefixes', '分开'],
  ['device', 'cuda:x'],
  ['device', 'gpu'],
  ['threads', 0],
  ['nhid', 256],
])('the option %s refuses %s', (key, value) => {
  expect(() => resolveConfig({ [key]: value })).toThrow(expect.objectContaining({ code: 'GRU_USAGE' }));
});
