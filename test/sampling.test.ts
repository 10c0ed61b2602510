import { describe, expect, test } from 'vitest';
import { Random } from '../src/random.js';
import { chooseId, resolveSampling, type SamplingOptions } from '../src/sampling.js';

/** How often each id is chosen in `draws` draws. */
function frequencies(
  logits: number[],
  options: SamplingOptions,
  draws = 20_000,
  recent: number[] = [],
): number[] {
  const random = new Random(1, 'test');
  const counts = new Array<number>(logits.length).fill(0);
  const resolved = resolveSampling(options);
  for (let draw = 0; draw < draws; draw += 1) {
    const id = chooseId(Float32Array.from(logits), resolved, recent, random);
    counts[id] = (counts[id] as number) + 1;
  }
  return counts.map((count) => count / draws);
}

function softmax(logits: number[], temperature = 1): number[] {
  const powers = logits.map((logit) => Math.exp(logit / temperature));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** Four standard errors at 20,000 draws. */
const TOLERANCE = 0.015;

function expectClose(actual: number[], expected: number[]): void {
  for (const [id, share] of expected.entries())
    expect(Math.abs((actual[id] as number) - share)).toBeLessThan(TOLERANCE);
}

const LOGITS = [1, 2.5, -1, 2, 0];

describe('greedy', () => {
  test('takes the likeliest, the lowest id on ties', () => {
    expect(frequencies([0, 3, 1, 3], { temperature: 0 }, 3)).toEqual([0, 1, 0, 0]);
    expect(frequencies([2, 2, 2], {}, 3)).toEqual([1, 0, 0]);
  });

  test('the repetition penalty comes before it', () => {
    expect(frequencies([3, 2.9], { repetitionPenalty: 1.2 }, 1, [0])).toEqual([0, 1]);
    expect(frequencies([-1, -1.1], { repetitionPenalty: 1.2 }, 1, [0])).toEqual([0, 1]);
  });
});

describe('sampling', () => {
  test('follows the softmax at its temperature', () => {
    for (const temperature of [0.5, 1, 2]) {
      expectClose(frequencies(LOGITS, { temperature }), softmax(LOGITS, temperature));
    }
  });

  test('top-k keeps the k likeliest; the lower id on ties', () => {
    const kept = softmax([2.5, 2]);
    expectClose(frequencies(LOGITS, { temperature: 1, topK: 2 }), [
      0,
      kept[0] as number,
      0,
      kept[1] as number,
      0,
    ]);
    expect(frequencies([1, 1, 1], { temperature: 1, topK: 1 }, 100)).toEqual([1, 0, 0]);
    expectClose(frequencies(LOGITS, { temperature: 1, topK: 99 }), softmax(LOGITS));
  });

  test('top-p keeps the fewest likeliest that reach it, at least one', () => {
    const [first, second] = [softmax(LOGITS)[1] as number, softmax(LOGITS)[3] as number];
    expect(frequencies(LOGITS, { temperature: 1, topP: first * 0.9 }, 100)).toEqual([0, 1, 0, 0, 0]);
    const kept = softmax([2.5, 2]);
    const reached = frequencies(LOGITS, { temperature: 1, topP: first + second * 0.5 });
    expectClose(reached, [0, kept[0] as number, 0, kept[1] as number, 0]);
  });

  test('top-p works on what top-k left', () => {
    // Among the two likeliest, the first has 0.62: it alone reaches 0.6, though it has less of the whole.
    expect(frequencies(LOGITS, { temperature: 1, topK: 2, topP: 0.6 }, 100)).toEqual([0, 1, 0, 0, 0]);
  });

  test('extreme logits and temperatures stay finite', () => {
    for (const temperature of [1e-6, 1e-300, 1e6, 1e300]) {
      const shares = frequencies([-1e30, 1e30, 3e38, -3e38, 0], { temperature }, 50);
      expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1);
    }
    expect(frequencies([1, 2, 3], { temperature: 1e-9 }, 50)).toEqual([0, 0, 1]);
  });
});

test.each([
  { temperature: -1 },
  { temperature: Number.NaN },
  { temperature: Infinity },
  { topK: -1 },
  { topK: 1.5 },
  { topP: 0 },
  { topP: 1.1 },
  { repetitionPenalty: 0 },
])('options out of range are refused: %j', (options) => {
  expect(() => resolveSampling(options)).toThrow(expect.objectContaining({ code: 'GRU_USAGE' }));
});
