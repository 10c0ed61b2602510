/** A network beside the event loop and at its end: cancelling, progress, disposal. Ends of processes: exits.test.ts. */

import { describe, expect, it } from 'vitest';
import { CancelFlag, type EpochPlan, type EpochProgress, Generation, Network } from '../src/native.js';
import { someIds } from './network-fixture.js';

/** The sizes of the book chapter's run. */
const CHAPTER = { vocabSize: 1465, hiddenSize: 256, batchSize: 32, numSteps: 35 };

/** More updates than any test waits for. */
const ENDLESS: EpochPlan = {
  starts: new Int32Array(100_000 * CHAPTER.batchSize),
  numSteps: 35,
  learningRate: new Float32Array(100_000).fill(0.1),
  maxGradNorm: 5,
  carryState: false,
};

async function chapterNetwork(): Promise<Network> {
  const network = new Network(CHAPTER);
  await network.initialize(0, 0.01);
  await network.loadCorpus(someIds(10_000, CHAPTER.vocabSize));
  return network;
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const DISPOSED = { code: 'GRU_DISPOSED', message: expect.stringContaining('disposed of') };

describe('cancelling', () => {
  it('ends a run within a second, with the updates it did', async () => {
    const network = await chapterNetwork();
    const before = await network.parameters();
    const flag = new CancelFlag();
    const running = network.trainEpoch(ENDLESS, flag);
    await pause(300);
    const asked = performance.now();
    flag.cancel();
    const result = await running;
    expect(performance.now() - asked).toBeLessThan(1000);
    expect(result.stopped).toBe('cancelled');
    expect(result.updates).toBeGreaterThan(0);
    expect([result.lossSum.length, result.gradientNorm.length]).toEqual([result.updates, result.updates]);
    expect(await network.parameters()).not.toEqual(before);
    network.dispose();
  });

  it('works for its own command only, and before its turn', async () => {
    const network = await chapterNetwork();
    const [first, second] = [new CancelFlag(), new CancelFlag()];
    const evaluated = network.evaluate(ENDLESS, first);
    const trained = network.trainEpoch(ENDLESS, second);
    second.cancel();
    await pause(100);
    first.cancel();
    expect(await evaluated).toMatchObject({ stopped: 'cancelled' });
    expect(await trained).toMatchObject({ stopped: 'cancelled', updates: 0, lossSum: new Float64Array() });
    network.dispose();
  });
});

describe('writing', () => {
  const sampling = { temperature: 1, topK: 40, topP: 1, repetitionPenalty: 1.1 };
  const texts = () => {
    return new Generation({
      prefixes: [Uint32Array.of(1, 2), Uint32Array.of(3)],
      seeds: [4, 5],
      ...sampling,
    });
  };

  it('is cancelled between two characters, and goes on there', async () => {
    const network = await chapterNetwork();
    const [flag, stopped, whole] = [new CancelFlag(), texts(), texts()];
    const writing = network.generate(stopped, 65_536, flag);
    await pause(50);
    flag.cancel();
    const first = await writing;
    expect(first.characters).toBeLessThan(65_536);
    expect(first.ids.length).toBe(2 * first.characters);
    expect(await network.generate(stopped, 5, flag)).toEqual({ ids: new Uint32Array(), characters: 0 });
    const rest = await network.generate(stopped, 50);
    const ids = [...first.ids, ...rest.ids];
    expect(Array.from((await network.generate(whole, first.characters + 50)).ids)).toEqual(ids);
    network.dispose();
  });

  it('ends when the network is disposed of', async () => {
    const network = await chapterNetwork();
    const writing = network.generate(texts(), 65_536);
    await pause(50);
    network.dispose();
    await expect(writing).rejects.toMatchObject(DISPOSED);
  });
});

describe('while a run goes on', () => {
  it('progress comes at intervals and adds up', async () => {
    const network = await chapterNetwork();
    const flag = new CancelFlag();
    const seen: (EpochProgress & { at: number })[] = [];
    const result = await network.trainEpoch(ENDLESS, flag, (progress) => {
      seen.push({ ...progress, at: performance.now() });
      if (seen.length === 4) flag.cancel();
    });
    expect(seen.length).toBeGreaterThanOrEqual(4);
    for (const { updates, lossSum, tokens } of seen) {
      expect(tokens).toBe(updates * result.tokens);
      expect(lossSum).toBe(result.lossSum.subarray(0, updates).reduce((total, loss) => total + loss, 0));
    }
    const counts = seen.map((progress) => progress.updates);
    expect(counts).toEqual([...new Set(counts)].sort((a, b) => a - b));
    expect((seen[3]?.at ?? 0) - (seen[0]?.at ?? 0)).toBeGreaterThan(250);
    network.dispose();
  });

  // The machine may be busy with other things, which shows as slip too.
  it('the event loop stays free', { retry: 3 }, async () => {
    const network = await chapterNetwork();
    const flag = new CancelFlag();
    const running = network.trainEpoch(ENDLESS, flag);
    const slips: number[] = [];
    for (const began = performance.now(); performance.now() - began < 1000; ) {
      const asked = performance.now();
      await pause(10);
      slips.push(performance.now() - asked - 10);
    }
    flag.cancel();
    expect((await running).updates).toBeGreaterThan(0);
    expect(slips.length).toBeGreaterThan(20);
    expect(Math.max(...slips)).toBeLessThan(100);
    network.dispose();
  });
});

describe('disposing', () => {
  it('stops what runs and refuses what waits and what comes', async () => {
    const network = await chapterNetwork();
    const pending = [network.trainEpoch(ENDLESS), network.forward(Uint32Array.of(1)), network.parameters()];
    const settled = Promise.allSettled(pending);
    await pause(100);
    const asked = performance.now();
    network.dispose();
    network.dispose();
    for (const { status, reason } of (await settled) as PromiseRejectedResult[]) {
      expect(status).toBe('rejected');
      expect(reason).toBeInstanceOf(Error);
      expect(reason).toMatchObject(DISPOSED);
    }
    expect(performance.now() - asked).toBeLessThan(1000);
    await expect(network.state()).rejects.toMatchObject(DISPOSED);
    await expect(network.initialize(0, 0.1)).rejects.toMatchObject(DISPOSED);
    await expect(network.evaluate(ENDLESS)).rejects.toMatchObject(DISPOSED);
    await expect(network.initialize(-1, 0.1)).rejects.toMatchObject({ code: 'GRU_USAGE' });
    expect(network.hiddenSize).toBe(256);
  });
});
