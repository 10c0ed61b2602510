import { describe, expect, test } from 'vitest';
import { planEpoch, updatesPerEpoch } from '../src/batches.js';

/** The chapter's example: the sequence 0..29, 2 lanes of 3 steps. */
const CHAPTER = { batchSize: 2, numSteps: 3, seed: 0 };

/** Inputs of every update, as the chapter prints them: one row a lane. */
function rows(starts: Int32Array, { batchSize, numSteps }: typeof CHAPTER): number[][][] {
  return Array.from({ length: starts.length / batchSize }, (_, update) =>
    Array.from(starts.subarray(update * batchSize, (update + 1) * batchSize), (start) =>
      Array.from({ length: numSteps }, (_, step) => start + step),
    ),
  );
}

describe('the sequence 0..29 of the chapter', () => {
  test('adjacent sampling walks both halves side by side', () => {
    const starts = planEpoch(30, { ...CHAPTER, sampling: 'adjacent' }, 1);
    expect(rows(starts, CHAPTER)).toEqual([
      [
        [0, 1, 2],
        [15, 16, 17],
      ],
      [
        [3, 4, 5],
        [18, 19, 20],
      ],
      [
        [6, 7, 8],
        [21, 22, 23],
      ],
      [
        [9, 10, 11],
        [24, 25, 26],
      ],
    ]);
  });

  test('random sampling reads every stretch of 3 at most once, in another order every epoch', () => {
    const config = { ...CHAPTER, sampling: 'random' } as const;
    const epochs = [1, 2, 3].map((epoch) => [...planEpoch(30, config, epoch)]);
    for (const starts of epochs) {
      // (30 - 1) / 3 = 9 stretches, 8 of them in 4 batches of 2.
      expect(starts).toHaveLength(8);
      expect(new Set(starts).size).toBe(8);
      for (const start of starts) expect(start % 3 === 0 && start >= 0 && start <= 24).toBe(true);
    }
    expect(epochs[0]).not.toEqual(epochs[1]);
    expect(epochs[1]).not.toEqual(epochs[2]);
    expect([...planEpoch(30, config, 2)]).toEqual(epochs[1]);
    expect([...planEpoch(30, { ...config, seed: 1 }, 2)]).not.toEqual(epochs[1]);
  });
});

test("the chapter's run has 17 updates of 32 lanes of 35 steps in both samplings", () => {
  for (const sampling of ['adjacent', 'random'] as const) {
    expect(updatesPerEpoch(20_000, { batchSize: 32, numSteps: 35, seed: 0, sampling })).toBe(17);
  }
});

test('every target lies inside the text, at every size', () => {
  for (let length = 2; length < 60; length += 1) {
    for (const [batchSize, numSteps] of [
      [1, 1],
      [2, 3],
      [5, 2],
      [3, 7],
    ] as const) {
      for (const sampling of ['adjacent', 'random'] as const) {
        const config = { batchSize, numSteps, seed: 3, sampling };
        const needed = sampling === 'adjacent' ? batchSize * (numSteps + 1) : batchSize * numSteps + 1;
        if (length < needed) {
          expect(() => planEpoch(length, config, 1)).toThrow(
            expect.objectContaining({ code: 'GRU_CORPUS_TOO_SHORT' }),
          );
          continue;
        }
        const starts = planEpoch(length, config, 1);
        expect(starts.length).toBe(updatesPerEpoch(length, config) * batchSize);
        expect(Math.max(...starts) + numSteps).toBeLessThan(length);
      }
    }
  }
});

test('a text that is too short is told with the numbers and values that work', () => {
  const config = { batchSize: 32, numSteps: 35, seed: 0, sampling: 'adjacent' } as const;
  let hint = '';
  try {
    planEpoch(500, config, 1);
  } catch (error) {
    expect((error as Error).message).toMatch(
      /at least 1152 characters for batch size 32 and 35 steps.*received 500/,
    );
    hint = (error as { hint: string }).hint;
  }
  const [, batchSize, numSteps] = /--batch-size (\d+), or --num-steps (\d+)/.exec(hint) as RegExpExecArray;
  expect(updatesPerEpoch(500, { ...config, batchSize: Number(batchSize) })).toBeGreaterThan(0);
  expect(updatesPerEpoch(500, { ...config, numSteps: Number(numSteps) })).toBeGreaterThan(0);
});
