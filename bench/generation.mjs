/** How fast a model writes, one text and several side by side; and what a crossing into the native code costs. */

import { LanguageModel, Network, Vocabulary } from '../dist/index.js';
import { makeJob } from './jobs.mjs';
import { describeMachine } from './machine.mjs';
import { columns, range, summary } from './statistics.mjs';

/** Characters written in a round, all texts together; a multiple of every number of texts. */
const WRITTEN = 16_000;
/** Texts side by side. */
const TEXTS = [1, 4, 16];
/** Crossings of a round. */
const CROSSINGS = 2000;

const WAYS = {
  greedy: {},
  'temperature 0.8, top-k 40': { temperature: 0.8, topK: 40 },
};

/**
 * @param {object} options
 * @param {number} options.repeats
 * @param {number} options.threads
 * @param {(step: string) => void} say
 */
export async function measureGeneration({ repeats, threads }, say) {
  const { vocabSize, hiddenSize, corpus } = makeJob('chapter');
  const sizes = { vocabSize, hiddenSize, batchSize: 1, numSteps: 1, threads };
  const network = new Network(sizes);
  await network.initialize(0, 0.1);
  const parameters = await network.parameters();
  const content = { vocabSize, hiddenSize, candidateBias: false, parameters, state: undefined };
  const vocabulary = Vocabulary.fromText(corpus.text);
  const model = await LanguageModel.fromContent({ ...content, vocabulary, metadata: undefined }, { threads });
  const speeds = [];
  for (const [way, options] of Object.entries(WAYS)) {
    for (const texts of TEXTS) {
      say(`${way}: ${repeats} times ${WRITTEN} characters, ${texts} side by side`);
      const prefixes = vocabulary.characters.slice(0, texts);
      const write = async (/** @type {number} */ length) => {
        const began = performance.now();
        if (texts === 1) await model.generate(/** @type {string} */ (prefixes[0]), { ...options, length });
        else await model.generateAll(prefixes, { ...options, length });
        return (texts * length) / ((performance.now() - began) / 1000);
      };
      await write(WRITTEN / texts / 10);
      const rounds = [];
      for (let round = 0; round < repeats; round += 1) rounds.push(await write(WRITTEN / texts));
      speeds.push({ way, texts, charactersPerSecond: summary(rounds) });
    }
  }
  say(`${repeats} times ${CROSSINGS} crossings`);
  const crossings = [];
  for (let round = 0; round < repeats; round += 1) {
    const began = performance.now();
    for (let crossing = 0; crossing < CROSSINGS; crossing += 1) await network.ready();
    crossings.push(((performance.now() - began) * 1000) / CROSSINGS);
  }
  network.dispose();
  model.dispose();
  return { vocabSize, hiddenSize, threads, speeds, crossingMicroseconds: summary(crossings) };
}

/** @typedef {Awaited<ReturnType<typeof measureGeneration>>} Generation */

/**
 * The result as text.
 *
 * @param {object} result
 * @param {import('./machine.mjs').MachineFacts} result.machine
 * @param {string[]} result.notes
 * @param {Generation} result.generation
 */
export function generationReport({ machine, notes, generation }) {
  const { vocabSize, hiddenSize, threads, speeds, crossingMicroseconds } = generation;
  const whole = (/** @type {number} */ value) => Math.round(value).toLocaleString('en-US');
  const rows = speeds.map(({ way, texts, charactersPerSecond }) => [
    way,
    String(texts),
    range(charactersPerSecond, whole),
  ]);
  const head = `Writing: ${vocabSize} characters, ${hiddenSize} hidden units, ${threads} threads`;
  const table = columns([['way', 'texts', 'characters/s of all texts'], ...rows]);
  const crossing = `A crossing that does nothing takes ${range(crossingMicroseconds, whole)} microseconds.`;
  const legend = [
    'Median [lowest-highest]. One text: model.generate; several: model.generateAll. The weights are random.',
    ...notes.map((note) => `Note: ${note}.`),
  ].join('\n');
  return `${[describeMachine(machine), `${head}\n${table}`, crossing, legend].join('\n\n')}\n`;
}
