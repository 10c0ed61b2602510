/** How fast a text becomes ids, step by step, with how much memory; and how fast a model reads one. */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { LanguageModel, Network, Vocabulary } from '../dist/index.js';
import { checkedUtf8, decode, normalise } from '../dist/utf8.js';
import { makeJob } from './jobs.mjs';
import { describeMachine } from './machine.mjs';
import { Failure } from './options.mjs';
import { columns, range, summary } from './statistics.mjs';

/** Kinds of text: the first code point of their characters, how many kinds there are, and the bytes of each. */
const KINDS = {
  Chinese: { first: 0x4e00, count: 3000, width: 3 },
  ASCII: { first: 0x41, count: 58, width: 1 },
};
/** Other forms of the Chinese text: its file's bytes from its string, and how `loadCorpus` is to read them. */
const FORMS = {
  GB18030: { file: gb18030, options: {} },
  'UTF-16': { file: (/** @type {string} */ text) => Buffer.from(`\ufeff${text}`, 'utf16le'), options: {} },
  gzip: { file: (/** @type {string} */ text) => gzipSync(text, { level: 1 }), options: {} },
  'UTF-8, --nfc': { file: (/** @type {string} */ text) => Buffer.from(text), options: { nfc: true } },
};
/** Every so many characters a newline. */
const LINE = 20;
/** Characters made up; longer texts repeat them. */
const MADE_UP = 1 << 16;
/** Characters that the evaluation reads. */
const EVALUATED = 50_000;

/** All of the way, in a process of its own. Linux counts its parent's peak into maxRSS, but not into VmHWM. */
const WHOLE = `
  import { existsSync, readFileSync } from 'node:fs';
  import { loadCorpus, Vocabulary } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)};
  const status = '/proc/self/status';
  const peak = () => 1024 * (existsSync(status)
    ? Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync(status, 'utf8'))[1])
    : process.resourceUsage().maxRSS);
  const before = peak();
  const began = performance.now();
  const options = JSON.parse(process.argv[2]);
  const { text } = await loadCorpus(process.argv[1], { ...options, maxChars: 'all' });
  const loaded = peak() - before;
  const { length } = Vocabulary.fromText(text).encode(text, 'the text');
  const seconds = (performance.now() - began) / 1000;
  console.log(JSON.stringify({ seconds, length, loaded, memory: peak() - before }));`;

/**
 * @param {object} options
 * @param {number} options.megabytes size of each text, in units of 10^6 bytes
 * @param {number} options.repeats
 * @param {number} options.threads of the evaluation
 * @param {(step: string) => void} say
 */
export async function measureLoading({ megabytes, repeats, threads }, say) {
  const folder = mkdtempSync(join(tmpdir(), 'gru-native-bench-'));
  try {
    const texts = [];
    for (const kind of /** @type {(keyof typeof KINDS)[]} */ (Object.keys(KINDS))) {
      say(`${kind}: ${repeats} times ${megabytes} MB to ids`);
      const path = join(folder, `${kind}.txt`);
      writeFileSync(path, madeUpText(kind, megabytes * 1e6));
      texts.push(measureText(kind, path, repeats));
    }
    const forms = Object.entries(FORMS).map(([name, form]) => {
      say(`Chinese as ${name}: ${repeats} times to ids`);
      return measureForm(name, form, join(folder, 'Chinese.txt'), repeats);
    });
    say(`evaluation: ${repeats} times ${EVALUATED} characters`);
    return { megabytes, texts, forms, evaluation: await measureEvaluation(repeats, threads) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @typedef {Awaited<ReturnType<typeof measureLoading>>} Loading */

/**
 * @param {keyof typeof KINDS} kind
 * @param {string} path
 * @param {number} repeats
 */
function measureText(kind, path, repeats) {
  const { size, characters } = expected(path);
  /** @type {Record<string, number[]>} MB/s of each step, in the order in which they are done */
  const speeds = {};
  const memory = [];
  for (let round = 0; round < repeats; round += 1) {
    /** @template T @param {string} name @param {() => T} work @returns {T} */
    const timed = (name, work) => {
      const began = performance.now();
      const result = work();
      speeds[name] = [...(speeds[name] ?? []), size / 1e3 / (performance.now() - began)];
      return result;
    };
    const bytes = timed('read', () => readFileSync(path));
    timed('check', () => checkedUtf8(bytes, kind));
    const { bytes: kept } = timed('normalise', () => normalise(bytes));
    timed('hash', () => createHash('sha256').update(kept).digest('hex'));
    const text = timed('decode', () => decode(kept));
    const vocabulary = timed('vocabulary', () => Vocabulary.fromText(text));
    const ids = timed('encode', () => vocabulary.encode(text, 'the text'));
    const whole = wholeWay(path);
    for (const length of [ids.length, whole.length]) {
      if (length !== characters) throw new Failure(`expected ${characters} ids, received ${length}`);
    }
    speeds.all = [...(speeds.all ?? []), size / 1e6 / whole.seconds];
    memory.push(whole.memory / size);
  }
  const steps = Object.entries(speeds).map(([name, values]) => ({
    name,
    megabytesPerSecond: summary(values),
  }));
  return { kind, bytes: size, characters, steps, memoryPerByte: summary(memory) };
}

/**
 * All of the way, from another form of the text; in bytes of the text as UTF-8, so that forms can be compared.
 *
 * @param {string} name
 * @param {(typeof FORMS)[keyof typeof FORMS]} form
 * @param {string} path
 * @param {number} repeats
 */
function measureForm(name, { file, options }, path, repeats) {
  const { size, characters } = expected(path);
  const formed = join(path, '..', 'form.txt');
  writeFileSync(formed, file(readFileSync(path, 'utf8')));
  const rounds = Array.from({ length: repeats }, () => wholeWay(formed, options));
  for (const { length } of rounds) {
    if (length !== characters) throw new Failure(`${name}: expected ${characters} ids, received ${length}`);
  }
  return {
    name,
    fileBytes: statSync(formed).size,
    megabytesPerSecond: summary(rounds.map(({ seconds }) => size / 1e6 / seconds)),
    loadedPerByte: summary(rounds.map(({ loaded }) => loaded / size)),
    memoryPerByte: summary(rounds.map(({ memory }) => memory / size)),
  };
}

/** GB18030 of a text whose characters are all pairs or ASCII, by a table of what Node decodes. @param {string} text */
function gb18030(text) {
  const pairs = Buffer.alloc(2 * 126 * 190);
  for (let pair = 0; pair < 126 * 190; pair += 1) {
    pairs[2 * pair] = 0x81 + Math.floor(pair / 190);
    const trail = 0x40 + (pair % 190);
    pairs[2 * pair + 1] = trail < 0x7f ? trail : trail + 1;
  }
  const codes = new Uint16Array(0x10000);
  [...new TextDecoder('gb18030').decode(pairs)].forEach((character, pair) => {
    codes[character.codePointAt(0) ?? 0] = pairs.readUInt16BE(2 * pair);
  });
  const bytes = Buffer.alloc(2 * text.length);
  let length = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    length = code < 0x80 ? bytes.writeUInt8(code, length) : bytes.writeUInt16BE(codes[code] ?? 0, length);
  }
  return bytes.subarray(0, length);
}

/**
 * @param {string} path
 * @param {object} options of loadCorpus
 * @returns {{ seconds: number, length: number, loaded: number, memory: number }}
 */
function wholeWay(path, options = {}) {
  const args = ['--input-type=module', '--eval', WHOLE, '--', path, JSON.stringify(options)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Failure(`the process that loads a text failed: ${stderr}`);
  return JSON.parse(stdout);
}

/** @param {string} path */
function expected(path) {
  const bytes = readFileSync(path);
  let characters = 0;
  for (const byte of bytes) if ((byte & 0xc0) !== 0x80) characters += 1;
  return { size: bytes.length, characters };
}

/**
 * Characters of a kind in random order, in lines, about so many bytes.
 *
 * @param {keyof typeof KINDS} kind
 * @param {number} size
 */
function madeUpText(kind, size) {
  const { first, count, width } = KINDS[kind];
  let state = 1;
  const draw = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * count);
  };
  const character = (/** @type {unknown} */ _, /** @type {number} */ at) =>
    at % LINE === LINE - 1 ? '\n' : String.fromCodePoint(first + draw());
  const part = Buffer.from(
    Array.from({ length: Math.min(MADE_UP, Math.ceil(size / width)) }, character).join(''),
  );
  return Buffer.concat(Array.from({ length: Math.ceil(size / part.length) }, () => part));
}

/**
 * Characters a second of `LanguageModel.evaluate`, for an untrained model of the chapter's sizes.
 *
 * @param {number} repeats
 * @param {number} threads
 */
async function measureEvaluation(repeats, threads) {
  const { vocabSize, hiddenSize, corpus } = makeJob('chapter');
  const network = new Network({ vocabSize, hiddenSize, batchSize: 1, numSteps: 1, threads });
  await network.initialize(0, 0.01);
  const parameters = await network.parameters();
  network.dispose();
  const content = { vocabSize, hiddenSize, candidateBias: false, parameters, state: undefined };
  const vocabulary = Vocabulary.fromText(corpus.text);
  const model = await LanguageModel.fromContent({ ...content, vocabulary, metadata: undefined }, { threads });
  const text = corpus.text.repeat(Math.ceil(EVALUATED / corpus.characters)).slice(0, EVALUATED);
  const speeds = [];
  for (let round = 0; round < repeats; round += 1) {
    const began = performance.now();
    const { tokens } = await model.evaluate(text);
    speeds.push(tokens / ((performance.now() - began) / 1000));
  }
  model.dispose();
  return { vocabSize, hiddenSize, characters: EVALUATED, charactersPerSecond: summary(speeds) };
}

/**
 * The result as text.
 *
 * @param {object} result
 * @param {import('./machine.mjs').MachineFacts} result.machine
 * @param {string[]} result.notes
 * @param {Loading} result.loading
 */
export function loadingReport({ machine, notes, loading: { texts, forms, evaluation } }) {
  const whole = (/** @type {number} */ value) => Math.round(value).toLocaleString('en-US');
  const tables = texts.map(({ kind, bytes, characters, steps, memoryPerByte }) => {
    const rows = steps.map(({ name, megabytesPerSecond }) => [name, range(megabytesPerSecond, whole)]);
    const head = `${kind}: ${whole(bytes)} bytes, ${whole(characters)} characters`;
    const memory = `Memory for all of it: ${memoryPerByte.median.toFixed(1)} times the bytes of the text at the peak, beside what Node takes.`;
    return `${head}\n${columns([['step', 'MB/s'], ...rows])}\n${memory}`;
  });
  const formRows = forms.map(({ name, fileBytes, megabytesPerSecond, loadedPerByte, memoryPerByte }) => [
    name,
    whole(fileBytes),
    range(megabytesPerSecond, whole),
    loadedPerByte.median.toFixed(1),
    memoryPerByte.median.toFixed(1),
  ]);
  const formHead = ['form', 'bytes of the file', 'all, MB/s', 'memory, loaded', 'memory, all'];
  const other = `Chinese in other forms; MB/s and memory by the bytes of its UTF-8\n${columns([formHead, ...formRows])}`;
  const { vocabSize, hiddenSize, charactersPerSecond } = evaluation;
  const reading = `Evaluation (${vocabSize} characters, ${hiddenSize} hidden units): ${range(charactersPerSecond, whole)} characters/s.`;
  const legend = [
    'Median [lowest-highest]. all: loadCorpus, Vocabulary.fromText and encode, in a process of its own.',
    ...notes.map((note) => `Note: ${note}.`),
  ].join('\n');
  return `${[describeMachine(machine), ...tables, other, reading, legend].join('\n\n')}\n`;
}
