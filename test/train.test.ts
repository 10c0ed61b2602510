/** The library's training run: its events, stopping and going on, determinism, and what it leaves. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import {
  corpusFromText,
  LanguageModel,
  type ModelMetadata,
  RESUMABLE,
  type TrainEvent,
  type TrainingConfig,
  type TrainOptions,
  train,
} from '../src/index.js';

const folder = mkdtempSync(join(tmpdir(), 'gru-native-train-'));
afterAll(() => rmSync(folder, { recursive: true }));

const corpus = corpusFromText('春眠不觉晓 处处闻啼鸟 夜来风雨声 花落知多少 '.repeat(30));
const SMALL = {
  corpus,
  hiddenSize: 20,
  batchSize: 5,
  numSteps: 7,
  epochs: 6,
  reportEvery: 3,
  sampleLength: 4,
  prefixes: ['春', '花落'],
} satisfies TrainOptions;

async function eventsOf(options: TrainOptions): Promise<TrainEvent[]> {
  const events: TrainEvent[] = [];
  await using run = train(options);
  for await (const event of run) if (event.type !== 'progress') events.push(event);
  return events;
}

test('yields start, epochs, samples at reports, and end', async () => {
  const events = await eventsOf(SMALL);
  const report = ['sample', 'sample'];
  expect(events.map((event) => event.type)).toEqual([
    'start',
    'epoch',
    'epoch',
    'epoch',
    ...report,
    'epoch',
    'epoch',
    'epoch',
    ...report,
    'end',
  ]);
  const [start] = events;
  const updatesPerEpoch = Math.floor((Math.floor(corpus.characters / 5) - 1) / 7);
  expect(start).toMatchObject({
    updatesPerEpoch,
    epochsDone: 0,
    device: 'cpu',
    corpus: { vocabSize: 20 },
    notices: [expect.stringMatching(/^running on the CPU, no GPU can be used: expected .* received /)],
  });
  for (const event of events) {
    if (event.type === 'sample') expect([...event.text]).toHaveLength([...event.prefix].length + 4);
    if (event.type === 'epoch') {
      expect(event.tokens).toBe(updatesPerEpoch * 5 * 7);
      expect(event.perplexity).toBeCloseTo(Math.exp(event.lossSum / event.tokens), 10);
    }
  }
  expect(events.at(-1)).toMatchObject({ type: 'end', epochs: 6, path: null });
});

test('learns: four lines by heart', async () => {
  await using run = train({ ...SMALL, initScale: 0.1, epochs: 120, reportEvery: 120 });
  let perplexity: number | null = null;
  for await (const event of run) if (event.type === 'end') perplexity = event.perplexity;
  expect(perplexity).toBeLessThan(1.2);
  await using model = await run.model();
  expect(await model.generate('夜来', { length: 8 })).toBe('夜来风雨声 花落知多');
  expect((await model.evaluate(corpus.text)).perplexity).toBeLessThan(1.2);
});

test('equal seeds give equal bytes on any number of threads, other seeds others', async () => {
  const bytes = async (name: string, options: Partial<TrainOptions>) => {
    const out = join(folder, name);
    await eventsOf({ ...SMALL, sampling: 'random', out, ...options });
    return readFileSync(join(out, 'model.safetensors')).toString('base64');
  };
  const one = await bytes('one', { threads: 1 });
  expect(await bytes('three', { threads: 3 })).toBe(one);
  expect(await bytes('seed', { seed: 1 })).not.toBe(one);
});

test('stopped at any update and resumed, a run goes on as if it had not been', async () => {
  const lossSums = (events: TrainEvent[]) =>
    events.flatMap((event) => (event.type === 'epoch' ? [event.lossSum] : []));
  for (const [index, stateReset] of (['epoch', 'batch'] as const).entries()) {
    // Not auto: a stop while a GPU is looked for comes before there is anything to save.
    const job = { ...SMALL, device: 'cpu', sampling: 'random', stateReset } as const;
    const options = { ...job, epochs: 60, reportEvery: 60 };
    const whole = lossSums(await eventsOf({ ...options, out: join(folder, `whole-${index}`) }));
    const out = join(folder, `parts-${index}`);
    const seen: number[] = [];
    let resume = false;
    let stops = 0;
    for (let finished = false; !finished; resume = true) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 4 + 3 * stops);
      const run = train({ ...options, out, resume, signal: controller.signal });
      try {
        for await (const event of run) {
          if (event.type === 'epoch') seen.push(event.lossSum);
          finished ||= event.type === 'end';
        }
      } catch (error) {
        expect(error).toMatchObject({ code: 'GRU_INTERRUPTED' });
        stops += 1;
      }
      run.dispose();
    }
    expect(stops).toBeGreaterThan(1);
    expect(seen).toEqual(whole);
    const model = (name: string) => readFileSync(join(folder, `${name}-${index}`, 'model.safetensors'));
    expect(model('parts').equals(model('whole'))).toBe(true);
  }
});

test('without an output directory, stopping says that nothing was saved', async () => {
  const controller = new AbortController();
  const run = train({ ...SMALL, epochs: 100_000, signal: controller.signal });
  const going = async () => {
    for await (const event of run) if (event.type === 'epoch') controller.abort();
  };
  await expect(going()).rejects.toMatchObject({
    code: 'GRU_INTERRUPTED',
    hint: expect.stringMatching(/nothing was saved/i),
  });
  run.dispose();
});

test('a consumer that leaves early stops the native side', async () => {
  const run = train({ ...SMALL, epochs: 100_000 });
  for await (const event of run) if (event.type === 'epoch') break;
  await using model = await run.model();
  expect(model.metadata?.epochs).toBe(1);
  run.dispose();
});

test('a loss that is not finite ends the run with the checkpoint before it intact', async () => {
  const out = join(folder, 'diverged');
  await eventsOf({ ...SMALL, out });
  const before = readFileSync(join(out, 'trainer.safetensors'));
  const initFrom = join(out, 'model.safetensors');
  const diverging = train({
    ...SMALL,
    initFrom,
    out: join(folder, 'diverging'),
    learningRate: 3e38,
    maxGradNorm: 3e38,
  });
  const going = async () => {
    for await (const _ of diverging);
  };
  await expect(going()).rejects.toMatchObject({
    code: 'GRU_DIVERGED',
    hint: expect.stringMatching(/--learning-rate/),
  });
  expect(readFileSync(join(out, 'trainer.safetensors')).equals(before)).toBe(true);
  diverging.dispose();
});

test('the log of a resumed run is cut back to its checkpoint, and never padded', async () => {
  const out = join(folder, 'log');
  await eventsOf({ ...SMALL, out });
  const log = join(out, 'events.ndjson');
  const whole = readFileSync(log, 'utf8');
  const upTo = whole.slice(0, whole.lastIndexOf('{"v":1,"type":"checkpoint"'));
  writeFileSync(log, `${whole}{"v":1,"type":"epo`);
  await eventsOf({ ...SMALL, out, resume: true });
  expect(readFileSync(log, 'utf8').startsWith(`${upTo}{"v":1,"type":"start"`)).toBe(true);
  writeFileSync(log, 'short\n');
  await eventsOf({ ...SMALL, out, resume: true });
  expect(readFileSync(log, 'utf8')).toMatch(/^short\n\{"v":1,"type":"start"/);
});

test('a trainer file is a model file too', async () => {
  const out = join(folder, 'both');
  await eventsOf({ ...SMALL, out });
  await using trainer = await LanguageModel.load(join(out, 'trainer.safetensors'));
  await using model = await LanguageModel.load(out);
  expect(await trainer.generate('春')).toBe(await model.generate('春'));
});

/** What a trainer file may say of its run; test files change a part of it. */
const RECORD = {
  sources: ['x'],
  reading: { encoding: 'auto', nfc: false },
  position: {
    epochs: 0,
    lossSums: [],
    gradientNorms: [],
    epochSeconds: 0,
    perplexity: null,
    best: null,
    highEpochs: 0,
    rollbacks: 0,
    seconds: 0,
  },
  eventLogBytes: 0,
};

test('a trainer file with that record can be resumed from', async () => {
  await resumeWith({ trainer: RECORD });
});

test.each([
  ['a trainer file with a broken position', { trainer: { ...RECORD, position: { epochs: 'many' } } }],
  ['a trainer file without its part', { trainer: undefined }],
  ['a trainer file with one source for several', { trainer: { ...RECORD, sources: 'x' } }],
  ['a trainer file with an empty source', { trainer: { ...RECORD, sources: [''] } }],
  ['a trainer file without a reading', { trainer: { ...RECORD, reading: null } }],
  [
    'a trainer file with an unknown encoding',
    { trainer: { ...RECORD, reading: { encoding: 'x', nfc: false } } },
  ],
  ['a trainer file with an unclear nfc', { trainer: { ...RECORD, reading: { encoding: 'auto', nfc: 1 } } }],
])('%s cannot be resumed from', async (_, change) => {
  await expect(resumeWith(change)).rejects.toMatchObject({ code: 'GRU_MODEL' });
});

/** Resumes a run after a part of what its trainer file says was changed. */
async function resumeWith(change: object): Promise<TrainEvent[]> {
  const { encodeFile, readModelFile } = await import('../src/model-file.js');
  const out = mkdtempSync(join(folder, 'changed-'));
  await eventsOf({ ...SMALL, out });
  const path = join(out, 'trainer.safetensors');
  const content = await readModelFile(path);
  const metadata = { ...content.metadata, ...change } as unknown as ModelMetadata;
  writeFileSync(path, encodeFile(content, metadata, content.state));
  return eventsOf({ ...SMALL, out, resume: true });
}

test.each([
  [{ epochs: -1 }, 'GRU_USAGE'],
  [{ prefixes: ['x'] }, 'GRU_VOCABULARY'],
  [{ batchSize: 100_000 }, 'GRU_CORPUS_TOO_SHORT'],
  [{ hiddenSize: 2_000_000_000 }, 'GRU_USAGE'],
  [{ device: 'cuda' }, 'GRU_DEVICE'],
  [{ resume: true }, 'GRU_USAGE'],
  [{ initFrom: 'nowhere' }, 'GRU_MODEL'],
] as const)('refuses %j', async (options, code) => {
  await expect(eventsOf({ ...SMALL, ...options } as TrainOptions)).rejects.toMatchObject({
    name: 'GruError',
    code,
  });
});

/** Another value of every option than {@link SMALL} has. */
const OTHER: { [Key in keyof TrainingConfig]: TrainingConfig[Key] } = {
  maxChars: 100,
  sampling: 'random',
  stateReset: 'batch',
  epochs: 7,
  numSteps: 6,
  hiddenSize: 21,
  learningRate: 0.3,
  maxGradNorm: 4,
  batchSize: 4,
  reportEvery: 2,
  checkpointEvery: 1,
  keep: 1,
  onDivergence: 'rollback',
  maxRollbacks: 1,
  sampleLength: 5,
  prefixes: ['夜'],
  initScale: 0.02,
  seed: 1,
  precision: 'bf16',
  device: 'cpu',
  threads: 1,
};

test('a resumed run takes new values of the options that change no number, and names any other', async () => {
  const out = join(folder, 'options');
  await eventsOf({ ...SMALL, out });
  for (const [key, value] of Object.entries(OTHER)) {
    const resuming = eventsOf({ corpus, out, resume: true, [key]: value });
    if ((RESUMABLE as readonly string[]).includes(key)) {
      expect((await resuming)[0]).toMatchObject({ type: 'start', config: { [key]: value } });
    } else {
      await expect(resuming).rejects.toMatchObject({
        code: 'GRU_USAGE',
        message: expect.stringMatching(`^expected the checkpoint's ${key}, .*, received ${value}$`),
        hint: expect.stringMatching(/--init-from/),
      });
    }
  }
});
