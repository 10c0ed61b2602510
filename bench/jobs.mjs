/** The training jobs that the benchmarks time, on texts made up so that no corpus is needed. */

import { corpusFromText, Vocabulary } from '../dist/index.js';
import { Random } from '../dist/random.js';

/**
 * @typedef {object} Job
 * @property {string} name
 * @property {number} vocabSize
 * @property {number} hiddenSize
 * @property {number} batchSize
 * @property {number} numSteps
 * @property {import('../dist/index.js').Corpus} corpus
 * @property {Uint32Array} ids The corpus as ids, the same that `train()` gives its characters.
 */

/** Characters of every made-up corpus: as many as the book chapter uses. */
const CHARACTERS = 20_000;
/** The characters stand for themselves only: a stretch of CJK ideographs. */
const FIRST_CODE_POINT = 0x4e00;

const SIZES = {
  /** The book chapter's sizes. */
  chapter: { vocabSize: 1465, hiddenSize: 256, batchSize: 32, numSteps: 35 },
  /** The weight on the recurrence: few characters, many hidden units. */
  wide: { vocabSize: 65, hiddenSize: 512, batchSize: 64, numSteps: 64 },
};

/** The names of the jobs. */
export const JOB_NAMES = Object.keys(SIZES);

/**
 * The job of a name.
 *
 * @param {string} name one of {@link JOB_NAMES}
 * @returns {Job}
 */
export function makeJob(name) {
  const sizes = SIZES[/** @type {keyof typeof SIZES} */ (name)];
  const corpus = corpusFromText(syntheticText(sizes.vocabSize), { name: `synthetic ${name}` });
  const ids = Vocabulary.fromText(corpus.text).encode(corpus.text, 'the corpus');
  return { name, ...sizes, corpus, ids };
}

/**
 * A text of {@link CHARACTERS} characters, always the same, in which every character of the vocabulary is to
 * be found and, as in a language, a few make up most of it: the k-th has a frequency of about 1 / k.
 *
 * @param {number} vocabSize
 */
function syntheticText(vocabSize) {
  const random = new Random(0, `bench/${vocabSize}`);
  const kinds = Array.from(
    { length: CHARACTERS },
    () => Math.floor((vocabSize + 1) ** random.nextFloat()) - 1,
  );
  for (let kind = 0; kind < vocabSize; kind += 1) kinds[Math.floor((kind * CHARACTERS) / vocabSize)] = kind;
  return kinds.map((kind) => String.fromCodePoint(FIRST_CODE_POINT + kind)).join('');
}

/** How {@link flopPerUpdate} counts, in words. */
export const FLOP_FORMULA =
  'per update, rows = batch * steps: 3 * (2 * rows * H * 3H + 2 * rows * H * V), once forward, twice backward';

/**
 * Floating-point operations of one update: the matrix products that no program can do without.
 *
 * @param {Job} job
 */
export function flopPerUpdate({ vocabSize, hiddenSize, batchSize, numSteps }) {
  const rows = batchSize * numSteps;
  const recurrence = 2 * rows * hiddenSize * 3 * hiddenSize;
  const projection = 2 * rows * hiddenSize * vocabSize;
  return 3 * (recurrence + projection);
}
