/** Runs that diverge: when they count as such, what is kept, and how they go back. */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { corpusFromText, type TrainEvent, type TrainOptions, train } from '../src/index.js';

const corpus = corpusFromText('春眠不觉晓 处处闻啼鸟 夜来风雨声 花落知多少 '.repeat(30));
/** Steps so long that the loss rises far above that of guessing, and stays finite. */
const HIGH = {
  corpus,
  device: 'cpu',
  hiddenSize: 20,
  batchSize: 5,
  numSteps: 7,
  epochs: 12,
  reportEvery: 1,
  sampleLength: 1,
  prefixes: ['春'],
  learningRate: 60,
  maxGradNorm: 1,
} satisfies TrainOptions;

function place(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gru-native-divergence-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'out');
}

/** The events of a run, and what ended it if it did not reach its end. */
async function ran(options: TrainOptions): Promise<{ events: TrainEvent[]; error: unknown }> {
  const events: TrainEvent[] = [];
  await using run = train(options);
  try {
    for await (const event of run) if (event.type !== 'progress') events.push(event);
  } catch (error) {
    return { events, error };
  }
  return { events, error: undefined };
}

const epochsOf = (events: TrainEvent[]) => events.flatMap((event) => (event.type === 'epoch' ? [event] : []));
const rollbacksOf = (events: TrainEvent[]) =>
  events.flatMap((event) => (event.type === 'rollback' ? [event] : []));

test('three epochs far worse than guessing end a run; no checkpoint is made of them', async () => {
  const out = place();
  // A good start, from which a rate that is far too high leads away.
  const good = { ...HIGH, learningRate: 0.2, maxGradNorm: 5, epochs: 4 };
  expect((await ran({ ...good, out })).error).toBeUndefined();
  const before = readFileSync(join(out, 'trainer.safetensors'));
  const bad = place();
  const { events, error } = await ran({ ...HIGH, initFrom: join(out, 'model.safetensors'), out: bad });
  const limit = Math.log(20) + 1;
  const means = epochsOf(events).map(({ lossSum, tokens }) => lossSum / tokens);
  expect(means.slice(-3).every((mean) => mean > limit)).toBe(true);
  expect(means).toHaveLength(3);
  expect(error).toMatchObject({
    code: 'GRU_DIVERGED',
    message: expect.stringMatching(/at most 4\.00 nats \(ln 20 \+ 1\), received more in the last 3 epochs/),
    hint: expect.stringMatching(
      /% of the updates were clipped .* --learning-rate 30 .*Nothing was saved yet\.$/,
    ),
  });
  expect(readdirSync(bad)).toEqual(['events.ndjson']);
  expect(readFileSync(join(out, 'trainer.safetensors')).equals(before)).toBe(true);
});

test('the error names the last good checkpoint', async () => {
  const out = place();
  const { events, error } = await ran({
    ...HIGH,
    learningRate: 3e38,
    maxGradNorm: 3e38,
    reportEvery: 1,
    out,
  });
  expect(events.map((event) => event.type)).toEqual(['start']);
  expect(error).toMatchObject({
    hint: expect.stringMatching(/try --(max-grad-norm|learning-rate) .*Nothing was saved yet/),
  });
  const good = { ...HIGH, learningRate: 0.2, maxGradNorm: 5, epochs: 2 };
  const there = place();
  await ran({ ...good, out: there });
  // Resumed with a text of the same hash there is no way to make it diverge; so with parameters that overflow.
  const { readResumePoint } = await import('../src/checkpoint.js');
  const { encodeFile } = await import('../src/model-file.js');
  const { writeFileSync } = await import('node:fs');
  const point = await readResumePoint(there);
  const parameters = point.parameters.map((value) => value * 1e30);
  writeFileSync(
    join(there, 'trainer.safetensors'),
    encodeFile({ ...point, parameters }, point.metadata, point.state),
  );
  const stopped = await ran({ ...good, out: there, resume: true, epochs: 9 });
  expect(stopped.error).toMatchObject({
    code: 'GRU_DIVERGED',
    hint: expect.stringContaining(`The last good checkpoint is in ${there}, after epoch 2.`),
  });
});

test('with rollback a run goes back and halves its rate, until it does well or has gone back too often', async () => {
  const job = { ...HIGH, onDivergence: 'rollback', maxRollbacks: 40 } as const;
  const { events, error } = await ran(job);
  expect(error).toBeUndefined();
  const back = rollbacksOf(events);
  expect(back.length).toBeGreaterThan(1);
  for (const [index, event] of back.entries()) {
    expect(event).toMatchObject({ rollbacks: index + 1, learningRate: 60 / 2 ** (index + 1) });
    expect(event.reason).toMatch(/mean loss|not finite|finite loss/);
  }
  const last = epochsOf(events).at(-1);
  expect(last).toMatchObject({ epoch: 12, learningRate: 60 / 2 ** back.length });
  expect(last?.perplexity).toBeLessThan(20 * Math.E);

  const once = await ran({ ...job, maxRollbacks: 1 });
  expect(rollbacksOf(once.events)).toHaveLength(1);
  expect(once.error).toMatchObject({
    code: 'GRU_DIVERGED',
    message: expect.stringMatching(/ after going back once$/),
  });
});

test('a run that goes back is the same, stopped and resumed or not', async () => {
  // Checkpoints at every other epoch, so that stops come between them.
  const job = { ...HIGH, onDivergence: 'rollback', maxRollbacks: 40, checkpointEvery: 2, seed: 2 } as const;
  const whole = place();
  const { events, error } = await ran({ ...job, out: whole });
  expect(error).toBeUndefined();
  expect(rollbacksOf(events).length).toBeGreaterThan(1);
  const out = place();
  let stops = 0;
  for (let ended = false; !ended; stops++) {
    const controller = new AbortController();
    const run = train({ ...job, out, resume: stops > 0, signal: controller.signal });
    let epochs = 0;
    try {
      for await (const event of run) {
        // One epoch in each process, then a stop in the next.
        if (event.type === 'epoch' && ++epochs === 1) setTimeout(() => controller.abort(), 1);
      }
      ended = true;
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: 'GRU_INTERRUPTED' });
    }
    run.dispose();
  }
  expect(stops).toBeGreaterThan(5);
  const model = (path: string) => readFileSync(join(path, 'model.safetensors'));
  expect(model(out).equals(model(whole))).toBe(true);
  const numbers = (path: string) =>
    readFileSync(join(path, 'events.ndjson'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ type }) => type === 'epoch' || type === 'sample' || type === 'rollback')
      .map(({ seconds: _seconds, tokensPerSecond: _speed, ...event }) => event);
  expect(numbers(out)).toEqual(numbers(whole));
});

test('without rollback nothing to go back to is kept, also when there was', async () => {
  const out = place();
  const good = { ...HIGH, learningRate: 0.2, maxGradNorm: 5, epochs: 2, out };
  await ran({ ...good, onDivergence: 'rollback' });
  expect(readdirSync(out)).toContain('last-good.safetensors');
  await ran({ ...good, resume: true, epochs: 3, onDivergence: 'stop' });
  expect(readdirSync(out)).not.toContain('last-good.safetensors');
});
