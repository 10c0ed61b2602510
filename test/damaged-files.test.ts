/**
 * Small files cut at every length and with every byte changed: each is refused by its name, or is whole. All of it with
 * npm run test:long; here a part, another one for each byte.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { afterAll, expect, test } from 'vitest';
import { resumePoint } from '../src/checkpoint.js';
import { DEFAULT_CONFIG } from '../src/config.js';
import { corpusFromText, loadCorpus } from '../src/corpus.js';
import { GruError } from '../src/errors.js';
import { LanguageModel } from '../src/model.js';
import {
  encodeFile,
  MODEL_FILE,
  type ModelContent,
  modelContent,
  newMetadata,
  TRAINER_FILE,
} from '../src/model-file.js';
import { prepareRun } from '../src/setup.js';
import { readZipTexts } from '../src/zip.js';

const long = process.env.GRU_LONG !== undefined;
/** One of so many damaged files is looked at; in the long campaign, all. */
const PART = long ? 1 : 127;
const timeout = long ? 3_600_000 : 60_000;
const folder = mkdtempSync(join(tmpdir(), 'gru-native-damaged-'));
afterAll(() => rmSync(folder, { recursive: true }));

const corpus = corpusFromText('春眠不觉晓 处处闻啼鸟 '.repeat(4));
const vocabulary = [...new Set(corpus.text)];
const vocabSize = vocabulary.length;
const hiddenSize = 2;
const { device: _device, threads: _threads, ...defaults } = DEFAULT_CONFIG;
const config = { ...defaults, hiddenSize, batchSize: 2, numSteps: 4, epochs: 2, prefixes: ['春'] };
const metadata = newMetadata({
  ...{ hiddenSize, vocabulary, config, epochs: 1, perplexity: 9.5 },
  corpus: { name: corpus.name, characters: corpus.characters, sha256: corpus.sha256 },
});
const length = vocabSize * 6 + hiddenSize * 6 + 6 + vocabSize * hiddenSize + vocabSize;
const parameters = Float32Array.from({ length }, (_, at) => 0.25 * Math.sin(at));
const content = { vocabSize, hiddenSize, candidateBias: false, parameters };
const position = {
  epochs: 1,
  lossSums: [17.5],
  gradientNorms: [1.5],
  epochSeconds: 0.25,
  perplexity: 9.5,
  ...{ best: { epoch: 1, perplexity: 9.5 }, highEpochs: 1, rollbacks: 0 },
  seconds: 1,
};
const modelFile = encodeFile(content, metadata);
const trainerFile = encodeFile(
  content,
  {
    ...metadata,
    trainer: { sources: ['text'], reading: { encoding: 'auto', nfc: false }, position, eventLogBytes: 12 },
  },
  new Float32Array(4).fill(0.5),
);

/** A file that was cut or changed, and where. */
interface Damaged {
  bytes: Uint8Array;
  place: string;
}

/** Every truncation, and every other value of every byte. */
function* damagedFiles(bytes: Uint8Array): Generator<Damaged, void, void> {
  let count = 0;
  for (let cut = 0; cut < bytes.length; cut++) {
    if (count++ % Math.min(PART, 5) === 0) yield { bytes: bytes.subarray(0, cut), place: `cut at ${cut}` };
  }
  const changed = Uint8Array.from(bytes);
  for (const [at, byte] of bytes.entries()) {
    for (let change = 1; change < 256; change++) {
      if (count++ % PART !== 0) continue;
      changed[at] = byte ^ change;
      yield { bytes: changed, place: `byte ${at} changed to ${changed[at]}` };
    }
    changed[at] = byte;
  }
}

/** What became of a damaged file: its content, or undefined where it was refused in two lines. */
async function readDamaged<T>(place: string, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (thrown) {
    if (!(thrown instanceof GruError)) throw new Error(place, { cause: thrown });
    const { code, message, hint } = thrown;
    const known = ['GRU_MODEL', 'GRU_VOCABULARY', 'GRU_CORPUS'].includes(code);
    if (known && /^\P{Cc}{1,2001}$/u.test(message) && /^\P{Cc}{1,2001}$/u.test(hint)) return undefined;
    throw new Error(
      `${place}: expected an error in two lines, received ${code} ${JSON.stringify([message, hint])}`,
    );
  }
}

function expectWhole(place: string, read: ModelContent): void {
  const sizes =
    read.vocabSize * 6 + read.hiddenSize * 6 + 6 + read.vocabSize * read.hiddenSize + read.vocabSize;
  const whole =
    read.vocabSize === vocabSize &&
    read.hiddenSize === hiddenSize &&
    read.parameters.length === sizes + (read.candidateBias ? hiddenSize : 0) &&
    read.parameters.every(Number.isFinite) &&
    read.vocabulary.size === vocabSize &&
    new Set(read.vocabulary.characters).size === vocabSize;
  if (!whole) throw new Error(`${place}: expected a whole model, received ${JSON.stringify(read)}`);
}

/** Of so many damaged files, one is read from the disk as well. */
const FROM_DISK = long ? 997 : 97;

test('a model file', { timeout }, async () => {
  const path = join(folder, MODEL_FILE);
  let loaded = 0;
  let count = 0;
  for (const { bytes, place } of damagedFiles(modelFile)) {
    const read = await readDamaged(place, () => modelContent(bytes, path));
    if (read !== undefined) {
      loaded++;
      expect(bytes.length, place).toBe(modelFile.length);
      expectWhole(place, read);
    }
    if (count++ % FROM_DISK > 0) continue;
    writeFileSync(path, bytes);
    await using model = await readDamaged(place, () => LanguageModel.load(path));
    expect(model?.parameterCount, place).toBe(read?.parameters.length);
    if (model === undefined) continue;
    const first = model.vocabulary.characters[0] as string;
    expect([...(await model.generate(first, { length: 3 }))], place).toHaveLength(4);
  }
  expect(loaded, 'numbers may be others').toBeGreaterThan(modelFile.length / PART);
});

test('a trainer file', { timeout }, async () => {
  const path = join(folder, TRAINER_FILE);
  let loaded = 0;
  let count = 0;
  for (const { bytes, place } of damagedFiles(trainerFile)) {
    const read = await readDamaged(place, async () => resumePoint(await modelContent(bytes, path), path));
    if (read !== undefined) {
      loaded++;
      expect(bytes.length, place).toBe(trainerFile.length);
      expectWhole(place, read);
      expect(read.state, place).toHaveLength(4);
    }
    if (count++ % FROM_DISK > 0) continue;
    writeFileSync(path, bytes);
    const run = await readDamaged(place, () => prepareRun({ corpus, out: folder, resume: true, threads: 1 }));
    if (read === undefined) expect(run, place).toBeUndefined();
    run?.network.dispose();
    run?.writer?.close();
  }
  expect(loaded, 'numbers may be others').toBeGreaterThan(trainerFile.length / PART);
});

test('a zip', { timeout }, async () => {
  const texts = { 'a.txt': Buffer.from('春眠不觉晓'), 'b/c.txt': Buffer.from('la la la la la la la la') };
  const zip = zipSync(texts);
  const path = join(folder, 'a.zip');
  let loaded = 0;
  let count = 0;
  for (const { bytes, place } of damagedFiles(zip)) {
    const read = await readDamaged(place, () => readZipTexts(bytes, 'a.zip'));
    if (count++ % FROM_DISK === 0) {
      writeFileSync(path, bytes);
      const text = await readDamaged(place, () => loadCorpus(path));
      expect(text === undefined, place).toBe(read === undefined);
    }
    if (read === undefined) continue;
    loaded++;
    // Only what no text depends on may change: dates, versions, and a name, or which files are texts.
    expect(read.length, place).toBeGreaterThan(0);
    for (const { bytes } of read)
      expect(
        Object.values(texts).some((text) => text.equals(bytes)),
        place,
      ).toBe(true);
  }
  expect(loaded, 'dates may be others').toBeGreaterThan(50);
});
