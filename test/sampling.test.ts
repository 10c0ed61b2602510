/** How characters are chosen: shares of many draws, through a network whose logits are known. */

import { afterAll, describe, expect, test } from 'vitest';
import { Generation, Network } from '../src/native.js';
import { resolveSampling, type SamplingOptions } from '../src/sampling.js';

const networks = new Map<string, Network>();
afterAll(() => {
  for (const network of networks.values()) network.dispose();
});

/** A network whose logits are these after every character: all weights are zero, and they are its last biases. */
async function networkOf(logits: number[]): Promise<Network> {
  const known = networks.get(String(logits));
  if (known !== undefined) return known;
  const sizes = { vocabSize: logits.length, hiddenSize: 1, batchSize: 1, numSteps: 1, threads: 1 };
  const network = new Network(sizes);
  const parameters = new Float32Array(network.parameterCount);
  parameters.set(logits, parameters.length - logits.length);
  await network.setParameters(parameters);
  networks.set(String(logits), network);
  return network;
}

/** So many characters after a prefix. */
async function written(
  logits: number[],
  options: SamplingOptions,
  count: number,
  prefix: number[],
): Promise<number[]> {
  const network = await networkOf(logits);
  const prefixes = [Uint32Array.from(prefix)];
  const generation = new Generation({ prefixes, seeds: [1], ...resolveSampling(options) });
  const { ids } = await network.generate(generation, count);
  return Array.from(ids);
}

/** How often each id is chosen in `draws` draws. */
async function frequencies(
  logits: number[],
  options: SamplingOptions,
  draws = 20_000,
  prefix: number[] = [0],
): Promise<number[]> {
  const counts = new Array<number>(logits.length).fill(0);
  for (const id of await written(logits, options, draws, prefix)) counts[id] = (counts[id] as number) + 1;
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
  test('takes the likeliest, the lowest id on ties', async () => {
    expect(await frequencies([0, 3, 1, 3], { temperature: 0 }, 3)).toEqual([0, 1, 0, 0]);
    expect(await frequencies([2, 2, 2], {}, 3)).toEqual([1, 0, 0]);
  });

  test('the repetition penalty comes before it', async () => {
    expect(await frequencies([3, 2.9], { repetitionPenalty: 1.2 }, 1, [0])).toEqual([0, 1]);
    expect(await frequencies([-1, -1.1], { repetitionPenalty: 1.2 }, 1, [0])).toEqual([0, 1]);
  });
});

describe('sampling', () => {
  test('follows the softmax at its temperature', async () => {
    for (const temperature of [0.5, 1, 2]) {
      expectClose(await frequencies(LOGITS, { temperature }), softmax(LOGITS, temperature));
    }
  });

  test('top-k keeps the k likeliest; the lower id on ties', async () => {
    const kept = softmax([2.5, 2]);
    expectClose(await frequencies(LOGITS, { temperature: 1, topK: 2 }), [
      0,
      kept[0] as number,
      0,
      kept[1] as number,
      0,
    ]);
    expect(await frequencies([1, 1, 1], { temperature: 1, topK: 1 }, 100)).toEqual([1, 0, 0]);
    expectClose(await frequencies(LOGITS, { temperature: 1, topK: 99 }), softmax(LOGITS));
  });

  test('top-p keeps the fewest likeliest that reach it, at least one', async () => {
    const [first, second] = [softmax(LOGITS)[1] as number, softmax(LOGITS)[3] as number];
    expect(await frequencies(LOGITS, { temperature: 1, topP: first * 0.9 }, 100)).toEqual([0, 1, 0, 0, 0]);
    const kept = softmax([2.5, 2]);
    const reached = await frequencies(LOGITS, { temperature: 1, topP: first + second * 0.5 });
    expectClose(reached, [0, kept[0] as number, 0, kept[1] as number, 0]);
  });

  test('top-p works on what top-k left', async () => {
    // Among the two likeliest, the first has 0.62: it alone reaches 0.6, though it has less of the whole.
    expect(await frequencies(LOGITS, { temperature: 1, topK: 2, topP: 0.6 }, 100)).toEqual([0, 1, 0, 0, 0]);
  });

  test('extreme logits and temperatures stay finite', async () => {
    for (const temperature of [1e-6, 1e-300, 1e6, 1e300]) {
      const shares = await frequencies([-1e30, 1e30, 3e38, -3e38, 0], { temperature }, 50);
      expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1);
    }
    expect(await frequencies([1, 2, 3], { temperature: 1e-9 }, 50)).toEqual([0, 0, 1]);
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
