/** Checkpoints of the library's runs: who may write them, when they come, what is kept, what a crash leaves. */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  type CheckpointEvent,
  corpusFromText,
  LanguageModel,
  type TrainEvent,
  type TrainOptions,
  train,
} from '../src/index.js';

const corpus = corpusFromText('春眠不觉晓 处处闻啼鸟 夜来风雨声 花落知多少 '.repeat(30));
const SMALL = {
  corpus,
  device: 'cpu',
  hiddenSize: 20,
  batchSize: 5,
  numSteps: 7,
  epochs: 6,
  reportEvery: 3,
  sampleLength: 4,
  prefixes: ['春', '花落'],
} satisfies TrainOptions;

/** A path for an output directory that is not there yet. */
function place(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gru-native-checkpoints-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'out');
}

async function eventsOf(options: TrainOptions): Promise<TrainEvent[]> {
  const events: TrainEvent[] = [];
  await using run = train(options);
  for await (const event of run) if (event.type !== 'progress') events.push(event);
  return events;
}

const checkpointsOf = (events: TrainEvent[]) =>
  events.filter((event): event is CheckpointEvent => event.type === 'checkpoint');
const kept = (out: string) => readdirSync(join(out, 'checkpoints')).sort();
const modelOf = (out: string) => readFileSync(join(out, 'model.safetensors')).toString('base64');

test('a second run on the same directory is refused until the first has ended', async () => {
  const out = place();
  const first = train({ ...SMALL, out, epochs: 100_000 });
  const events = first[Symbol.asyncIterator]();
  await events.next();
  expect(readFileSync(join(out, 'run.lock'), 'utf8')).toMatch(new RegExp(`^${process.pid} `));
  for (const options of [{ overwrite: true }, {}]) {
    await expect(eventsOf({ ...SMALL, out, ...options })).rejects.toMatchObject({
      code: 'GRU_OUTPUT_BUSY',
      message: expect.stringMatching(new RegExp(`received .*, which process ${process.pid} on \\S+ holds$`)),
      hint: expect.stringMatching(/--out/),
    });
  }
  await events.return();
  first.dispose();
  expect(existsSync(join(out, 'run.lock'))).toBe(false);
  await expect(eventsOf({ ...SMALL, out, resume: true })).resolves.not.toHaveLength(0);
});

test('an error before the first update lets others into the directory, and so does dispose', async () => {
  const out = place();
  await eventsOf({ ...SMALL, out });
  await expect(eventsOf({ ...SMALL, out, resume: true, seed: 3 })).rejects.toMatchObject({
    code: 'GRU_USAGE',
  });
  await expect(eventsOf({ ...SMALL, out })).rejects.toMatchObject({ code: 'GRU_OUTPUT_EXISTS' });
  const dropped = train({ ...SMALL, out, overwrite: true });
  await dropped[Symbol.asyncIterator]().next();
  dropped.dispose();
  await eventsOf({ ...SMALL, out, resume: true });
});

test('what a crash left is no obstacle: a lock that nobody holds, whatever is in it, and temporary files', async () => {
  const out = place();
  mkdirSync(join(out, 'checkpoints'), { recursive: true });
  writeFileSync(join(out, 'run.lock'), '1 elsewhere');
  const left = [
    'trainer.safetensors.0123456789ab.tmp',
    'checkpoints/epoch-00003.safetensors.ba9876543210.tmp',
  ];
  for (const name of left) writeFileSync(join(out, name), 'half');
  const others = ['notes.tmp', 'trainer.safetensors.tmp'];
  for (const name of others) writeFileSync(join(out, name), 'mine');
  await eventsOf({ ...SMALL, out, keep: 1 });
  for (const name of left) expect(existsSync(join(out, name))).toBe(false);
  for (const name of others) expect(readFileSync(join(out, name), 'utf8')).toBe('mine');
});

test('a lock that is a link is not followed', async () => {
  const out = place();
  mkdirSync(out);
  const victim = join(out, 'victim.txt');
  writeFileSync(victim, 'precious');
  symlinkSync(victim, join(out, 'run.lock'));
  await expect(eventsOf({ ...SMALL, out })).rejects.toMatchObject({
    code: 'GRU_IO',
    message: expect.stringMatching(/is a link/),
  });
  expect(readFileSync(victim, 'utf8')).toBe('precious');
});

test('checkpoints come every checkpointEvery epochs and at the end; the last keep models are kept', async () => {
  const out = place();
  const events = await eventsOf({ ...SMALL, out, epochs: 11, checkpointEvery: 2, keep: 3 });
  const expected = [2, 4, 6, 8, 10, 11].map((epoch) => ({
    type: 'checkpoint',
    epoch,
    updates: 0,
    path: out,
  }));
  expect(checkpointsOf(events)).toEqual(expected);
  expect(kept(out)).toEqual(
    [8, 10, 11].map((epoch) => `epoch-${String(epoch).padStart(5, '0')}.safetensors`),
  );
  const direct = place();
  await eventsOf({ ...SMALL, out: direct, epochs: 8 });
  await using model = await LanguageModel.load(join(out, 'checkpoints/epoch-00008.safetensors'));
  await using same = await LanguageModel.load(direct);
  expect(model.metadata?.epochs).toBe(8);
  expect(await model.generate('夜来', { length: 20 })).toBe(await same.generate('夜来', { length: 20 }));
});

test('a resumed run goes on with the kept models; a new one replaces them, and nothing else', async () => {
  const out = place();
  await eventsOf({ ...SMALL, out, checkpointEvery: 1, epochs: 4, keep: 3 });
  await eventsOf({ ...SMALL, out, resume: true, epochs: 5 });
  expect(kept(out)).toEqual([3, 4, 5].map((epoch) => `epoch-0000${epoch}.safetensors`));
  writeFileSync(join(out, 'checkpoints/epoch-best.safetensors'), 'mine');
  await eventsOf({ ...SMALL, out, overwrite: true, reportEvery: 100, keep: 3 });
  expect(kept(out)).toEqual(['epoch-00006.safetensors', 'epoch-best.safetensors']);
});

test('saveNow writes a checkpoint at the running update, and changes nothing of what comes', async () => {
  const whole = place();
  // Epochs long enough to tell of their progress.
  const options = { ...SMALL, batchSize: 1, numSteps: 1, hiddenSize: 300, epochs: 3, reportEvery: 100 };
  await eventsOf({ ...options, out: whole });
  const out = place();
  await using run = train({ ...options, out });
  const events: TrainEvent[] = [];
  for await (const event of run) {
    if (event.type === 'progress' && !events.some(({ type }) => type === 'progress')) run.saveNow();
    events.push(event);
  }
  const [asked, last] = checkpointsOf(events);
  expect(asked?.updates).toBeGreaterThan(0);
  expect(last).toMatchObject({ epoch: 3, updates: 0 });
  expect(modelOf(out)).toBe(modelOf(whole));
});

test('whoever leaves the iteration loses nothing', async () => {
  const options = { ...SMALL, batchSize: 1, hiddenSize: 64, epochs: 4, reportEvery: 100 };
  const whole = place();
  await eventsOf({ ...options, out: whole });
  for (const type of ['start', 'progress', 'epoch'] as const) {
    const out = place();
    const run = train({ ...options, ...(type === 'progress' ? { numSteps: 1, hiddenSize: 300 } : {}), out });
    for await (const event of run) if (event.type === type) break;
    run.dispose();
    const { position } = await resumePoint(out);
    if (type === 'progress') expect(position.lossSums.length).toBeGreaterThan(0);
    if (type !== 'epoch') continue;
    expect(position.epochs).toBe(1);
    await eventsOf({ ...options, out, resume: true });
    expect(modelOf(out)).toBe(modelOf(whole));
  }
});

async function resumePoint(out: string) {
  const { readResumePoint } = await import('../src/checkpoint.js');
  return (await readResumePoint(out)).metadata.trainer;
}

test('a crash between the two files of a checkpoint is made good by resuming', async () => {
  const [out, whole] = [place(), place()];
  await eventsOf({ ...SMALL, out, epochs: 3 });
  const older = readFileSync(join(out, 'model.safetensors'));
  await eventsOf({ ...SMALL, out, resume: true });
  writeFileSync(join(out, 'model.safetensors'), older);
  await eventsOf({ ...SMALL, out, resume: true });
  await eventsOf({ ...SMALL, out: whole });
  expect(modelOf(out)).toBe(modelOf(whole));
});

test('a directory that is removed during the run is an error that names the file', async () => {
  const out = place();
  const run = train({ ...SMALL, out, epochs: 100_000, reportEvery: 1 });
  const going = async () => {
    for await (const event of run) if (event.type === 'checkpoint') rmSync(out, { recursive: true });
  };
  await expect(going()).rejects.toMatchObject({
    code: 'GRU_IO',
    message: expect.stringMatching(/^expected to write .*trainer\.safetensors, received ENOENT/),
    hint: expect.stringMatching(/The directory was removed/),
  });
  run.dispose();
});

test('the best epoch is remembered, also by a run that is resumed', async () => {
  const out = place();
  // With too high a rate the losses go up and down.
  const job = { ...SMALL, out, learningRate: 1.5, initScale: 0.3, seed: 1 };
  const events = [
    ...(await eventsOf({ ...job, epochs: 8 })),
    ...(await eventsOf({ ...job, epochs: 9, resume: true })),
  ];
  const epochs = events.flatMap((event) => (event.type === 'epoch' ? [event] : []));
  const lowest = epochs.reduce((a, b) => (b.perplexity < a.perplexity ? b : a));
  expect(lowest.epoch).toBeLessThan(8);
  expect(events.at(-1)).toMatchObject({
    type: 'end',
    best: { epoch: lowest.epoch, perplexity: lowest.perplexity },
  });
});
