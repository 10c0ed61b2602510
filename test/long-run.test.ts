/** A training of many epochs takes no more in the end than in the beginning: bench/long-run.mjs, judged. */

import { describe, expect, it } from 'vitest';

const { EPOCHS, judged, measureLongRun } = await import(
  new URL('../bench/long-run.mjs', import.meta.url).href
);

const LONG = process.env.GRU_LONG !== undefined;

describe.runIf(process.platform === 'linux')('a long run', () => {
  it('keeps its memory within 5 %, its handles and its threads', {
    timeout: LONG ? 280_000 : 60_000,
  }, async () => {
    const run = await measureLongRun(LONG ? EPOCHS : 2500, 2);
    expect(run.warnings).toBe('');
    expect(run.samples.length).toBeGreaterThan(50);
    expect(Math.abs(run.resident.ratio - 1)).toBeLessThan(0.05);
    expect([run.handles.ratio, run.threads.ratio]).toEqual([1, 1]);
  });
});

it('what grows is seen', () => {
  const samples = Array.from({ length: 100 }, (_, i) => ({
    epoch: 50 * (i + 1),
    // Before the warm-up is over, anything goes.
    resident: i < 20 ? 1000 * i : 60_000 + 100 * (i - 20),
    handles: i % 10 === 0 ? 22 : 21,
    threads: 8 + Math.floor(i / 50),
  }));
  const { resident, handles, threads } = judged(samples);
  expect(resident.ratio).toBeGreaterThan(1.05);
  expect(handles.ratio).toBe(1);
  expect(threads.ratio).toBeGreaterThan(1);
  expect(() => judged(samples.slice(0, 24))).toThrow('expected 8 samples after the warm-up, received 4');
});
