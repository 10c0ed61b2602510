/** Models against PyTorch: what torch.nn.GRU and torch.nn.Linear made of the committed files. */

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { LanguageModel } from '../src/model.js';
import { encodeFile, newMetadata, readModelFile } from '../src/model-file.js';
import { Network } from '../src/native.js';

const REFERENCE = join(import.meta.dirname, 'reference');
const folder = mkdtempSync(join(tmpdir(), 'gru-native-model-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What test/reference/check_model.py and foreign_model.py recorded. */
function recorded(name: string): { prefix: string; text: string; logits: number[]; modelSha256: string } {
  return JSON.parse(readFileSync(join(REFERENCE, `${name}.json`), 'utf8'));
}

describe.each([
  { name: 'model', vocabulary: undefined, origin: 'a model that gru-native wrote' },
  {
    name: 'foreign-model',
    vocabulary: join(REFERENCE, 'foreign-vocabulary.json'),
    origin: "PyTorch's own, with all its biases",
  },
])('$origin', ({ name, vocabulary }) => {
  const path = join(REFERENCE, `${name}.safetensors`);
  const expected = recorded(name);

  test('is the file that PyTorch read', () => {
    expect(createHash('sha256').update(readFileSync(path)).digest('hex')).toBe(expected.modelSha256);
  });

  test('has the same logits', async () => {
    const content = await readModelFile(path, vocabulary);
    const { vocabSize, hiddenSize, candidateBias, parameters } = content;
    expect(candidateBias).toBe(name === 'foreign-model');
    const network = new Network({ vocabSize, hiddenSize, candidateBias, batchSize: 1, numSteps: 1 });
    await network.setParameters(parameters);
    const { logits } = await network.forward(content.vocabulary.encode(expected.prefix, 'the prefix'));
    const last = logits.subarray(-vocabSize);
    expect(last).toHaveLength(expected.logits.length);
    for (const [id, logit] of expected.logits.entries())
      expect(Math.abs((last[id] as number) - logit)).toBeLessThan(1e-5);
    network.dispose();
  });

  test('writes the same 100 characters', async () => {
    await using model = await LanguageModel.load(path, vocabulary === undefined ? {} : { vocabulary });
    expect([...expected.text]).toHaveLength(100 + [...expected.prefix].length);
    expect(await model.generate(expected.prefix)).toBe(expected.text);
  });
});

test('a model written again has the same bytes; one of an older version gains the options it lacks', async () => {
  const path = join(REFERENCE, 'model.safetensors');
  await using model = await LanguageModel.load(path);
  const copies = ['copy', 'second'].map((name) => join(folder, `${name}.safetensors`)) as [string, string];
  await model.save(copies[0]);
  await using copy = await LanguageModel.load(copies[0]);
  await copy.save(copies[1]);
  expect(readFileSync(copies[1]).equals(readFileSync(copies[0]))).toBe(true);
  expect(copy.metadata).toEqual(model.metadata);
  const [older, newer] = await Promise.all([path, copies[0]].map((file) => readModelFile(file)));
  expect(newer?.parameters).toEqual(older?.parameters);
});

test('a file without a vocabulary needs one, of the right size', async () => {
  const path = join(REFERENCE, 'foreign-model.safetensors');
  await expect(readModelFile(path)).rejects.toMatchObject({
    code: 'GRU_VOCABULARY',
    hint: expect.stringMatching(/--vocabulary/),
  });
  const short = join(folder, 'short.json');
  writeFileSync(short, '["春", "眠"]');
  await expect(readModelFile(path, short)).rejects.toThrow(/expected 11 characters .* received 2/);
  writeFileSync(short, '{"春": 0}');
  await expect(readModelFile(path, short)).rejects.toMatchObject({ code: 'GRU_VOCABULARY' });
});

describe('metadata that does not fit is refused', async () => {
  const content = await readModelFile(join(REFERENCE, 'model.safetensors'));
  const metadata = content.metadata as NonNullable<typeof content.metadata>;
  test.each([
    ['another format version', { formatVersion: 2 }, /format version 1 .* received 2/],
    ['another cell', { cell: 'gru-reset-before' }, /gru-reset-after.*received "gru-reset-before"/],
    ['another hidden size', { hiddenSize: 25 }, /hidden size 24/],
    ['a vocabulary that is too short', { vocabulary: ['a', 'b'] }, /expected 377 characters/],
    [
      'a vocabulary with a repeated character',
      { vocabulary: content.vocabulary.characters.with(1, '末') },
      /distinct/,
    ],
    ['no vocabulary', { vocabulary: undefined }, /a vocabulary/],
    ['no corpus', { corpus: undefined }, /a corpus/],
    ['epochs that are no number', { epochs: '3' }, /number of epochs/],
    ['a perplexity that is no number', { perplexity: '3' }, /a perplexity/],
    ['no config', { config: null }, /a config/],
    ['prefixes that are no list', { config: { ...metadata.config, prefixes: 3 } }, /list of texts/],
    ['an option of another program', { config: { ...metadata.config, nhid: 3 } }, /"nhid"/],
  ])('%s', async (_, change, message) => {
    const path = join(folder, 'changed.safetensors');
    writeFileSync(
      path,
      encodeFile(content, { ...newMetadata(metadata), ...metadata, ...change } as typeof metadata),
    );
    await expect(readModelFile(path)).rejects.toThrow(message);
  });
});

describe('writing', () => {
  const path = join(REFERENCE, 'model.safetensors');

  test('streams the characters that generate returns', async () => {
    await using model = await LanguageModel.load(path);
    let streamed = '车';
    for await (const character of model.stream('车', { length: 30, temperature: 0.8, topK: 40, seed: 1 }))
      streamed += character;
    expect(streamed).toBe(await model.generate('车', { length: 30, temperature: 0.8, topK: 40, seed: 1 }));
  });

  test('sampled text is what it always was', async () => {
    await using model = await LanguageModel.load(path);
    const cases = JSON.parse(readFileSync(join(REFERENCE, 'sampled.json'), 'utf8'));
    expect(cases.length).toBeGreaterThan(3);
    for (const { prefix, options, text } of cases) {
      expect(await model.generate(prefix, { ...options, length: 100 }), JSON.stringify(options)).toBe(text);
    }
  });

  test('texts side by side are those written alone, whatever the threads', async () => {
    await using model = await LanguageModel.load(path, { threads: 1 });
    await using other = await LanguageModel.load(path, { threads: 2 });
    const options = { length: 90, temperature: 1, topK: 60, topP: 0.95, repetitionPenalty: 1.1 };
    const together = await model.generateAll(['车', '末班车', '月'], { ...options, seed: 5, count: 3 });
    const alone: string[] = [];
    for (const prefix of ['车', '末班车', '月']) {
      for (const seed of [5, 6, 7]) alone.push(await other.generate(prefix, { ...options, seed }));
    }
    expect(together).toEqual(alone);
    expect(new Set(together).size).toBe(9);
    expect(await other.generateAll(['车', '末班车', '月'], { ...options, seed: 5, count: 3 })).toEqual(alone);
    const streamed = ['车', '月'];
    let pieces = 0;
    for await (const [first, second] of other.streamAll(['车', '月'], { ...options, seed: 5 })) {
      if (pieces === 0) expect([first, second].map((piece) => [...(piece as string)].length)).toEqual([1, 1]);
      streamed[0] += first as string;
      streamed[1] += second as string;
      pieces += 1;
    }
    expect(streamed).toEqual([alone[0], alone[6]]);
    expect(pieces).toBeGreaterThan(3);
    expect(await model.generateAll([], options)).toEqual([]);
  });

  test('a signal ends it in the middle of a piece', async () => {
    await using model = await LanguageModel.load(path);
    const controller = new AbortController();
    const writing = model.generateAll(['车', '月'], { length: 2 ** 40, signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 50);
    await expect(writing).rejects.toThrow('enough');
    const signal = AbortSignal.abort(new Error('before'));
    await expect(model.generate('车', { signal })).rejects.toThrow('before');
  });

  test.each([
    [{ count: 0 }, /whole number from 1 to 1024 for count, received 0/],
    [{ count: 1.5 }, /for count, received 1.5/],
    [{ count: 1e12 }, /for count/],
    [{ count: 600 }, /at most 1024 for the number of texts, received 1200/],
    [{ count: 2, seed: 2 ** 53 - 1 }, /at most 2\^53 - 1 for the last seed/],
  ])('several texts are refused with %j', async (options, message) => {
    await using model = await LanguageModel.load(path);
    await expect(model.generateAll(['车', '月'], options)).rejects.toThrow(message);
    await expect(model.generateAll(['车', '月'], options)).rejects.toMatchObject({ code: 'GRU_USAGE' });
  });

  test('can be stopped', async () => {
    await using model = await LanguageModel.load(path);
    const controller = new AbortController();
    const written: string[] = [];
    const writing = async () => {
      for await (const character of model.stream('车', { length: 1000, signal: controller.signal })) {
        written.push(character);
        if (written.length === 5) controller.abort(new Error('enough'));
      }
    };
    await expect(writing()).rejects.toThrow('enough');
    expect(written).toHaveLength(5);
  });

  test.each([
    ['', {}, 'GRU_USAGE'],
    ['龘', {}, 'GRU_VOCABULARY'],
    ['车', { length: -1 }, 'GRU_USAGE'],
    ['车', { seed: 0.5 }, 'GRU_USAGE'],
    ['车', { topP: 2 }, 'GRU_USAGE'],
  ])('refuses %j with %j', async (prefix, options, code) => {
    await using model = await LanguageModel.load(path);
    await expect(model.generate(prefix, options)).rejects.toMatchObject({ code });
  });

  test('a disposed model says so', async () => {
    const model = await LanguageModel.load(path);
    model.dispose();
    model.dispose();
    await expect(model.generate('车')).rejects.toMatchObject({ code: 'GRU_DISPOSED' });
  });
});

test('evaluation is one pass over the whole text, in pieces of any size', async () => {
  const path = join(REFERENCE, 'model.safetensors');
  await using model = await LanguageModel.load(path);
  const characters = model.vocabulary.characters;
  const text = Array.from(
    { length: 700 },
    (_, index) => characters[(index * index + index) % characters.length],
  ).join('');
  const content = await readModelFile(path);
  const { vocabSize, hiddenSize, parameters } = content;
  const network = new Network({ vocabSize, hiddenSize, batchSize: 1, numSteps: 1 });
  await network.setParameters(parameters);
  for (const length of [2, 3, 256, 257, 258, 513, 700]) {
    const part = text.slice(0, length);
    const ids = content.vocabulary.encode(part, 'the text');
    const { logits } = await network.forward(ids.subarray(0, -1));
    let lossSum = 0;
    for (let step = 0; step < length - 1; step += 1) {
      const row = logits.subarray(step * vocabSize, (step + 1) * vocabSize);
      const total = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
      lossSum += Math.log(total) - (row[ids[step + 1] as number] as number);
    }
    const evaluation = await model.evaluate(part);
    expect(evaluation.tokens).toBe(length - 1);
    expect(Math.abs(evaluation.lossSum / lossSum - 1)).toBeLessThan(1e-5);
    expect(evaluation.perplexity).toBeCloseTo(Math.exp(evaluation.lossSum / evaluation.tokens), 10);
  }
  network.dispose();
  await expect(model.evaluate('车')).rejects.toMatchObject({ code: 'GRU_CORPUS_TOO_SHORT' });
  await expect(model.evaluate('车x')).rejects.toMatchObject({ code: 'GRU_VOCABULARY' });
});
