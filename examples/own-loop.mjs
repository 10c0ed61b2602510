// @ts-check
/**
 * A training loop of one's own over `Network`: another schedule of learning rates than `train` has, and the perplexity of a
 * part of the text that is not trained on.
 *
 *     node examples/own-loop.mjs [epochs]
 */

import { Generation, loadCorpus, Network, perplexity, Vocabulary } from 'gru-native';

const epochs = Number(process.argv[2] ?? 20);
const batchSize = 8;
const numSteps = 20;

const { text } = await loadCorpus('songs', { maxChars: 8000 });
const vocabulary = Vocabulary.fromText(text);
const ids = vocabulary.encode(text, 'the text');
const trained = ids.subarray(0, Math.floor(0.9 * ids.length));
const heldOut = ids.subarray(trained.length);

const network = new Network({ vocabSize: vocabulary.size, hiddenSize: 64, batchSize, numSteps });
await network.initialize(0, 0.01);
console.log(
  `${trained.length} characters to train on, ${heldOut.length} held out, ${vocabulary.size} distinct`,
);

for (let epoch = 1; epoch <= epochs; epoch++) {
  const learningRate = 0.4 / (1 + epoch / 10);
  const train = await pass(trained, learningRate);
  const test = await pass(heldOut);
  if (epoch % 5 === 0) {
    const rate = learningRate.toFixed(3);
    console.log(`epoch ${epoch}, rate ${rate}: ${train.toFixed(1)} trained on, ${test.toFixed(1)} held out`);
  }
}

const prefixes = ['我', '风'];
const generation = new Generation({
  prefixes: prefixes.map((prefix) => vocabulary.encode(prefix, 'the prefix')),
  seeds: [1, 2],
  temperature: 0.5,
  topK: 20,
  topP: 1,
  repetitionPenalty: 1,
});
const { ids: written } = await network.generate(generation, 24);
for (const [text, prefix] of prefixes.entries()) {
  const column = written.filter((_, index) => index % prefixes.length === text);
  console.log(`- ${prefix}${vocabulary.decode(column)}`);
}
network.dispose();

/**
 * The perplexity of a pass over some ids from the zero state: trained on at that rate, or only evaluated without one.
 *
 * @param {Uint32Array} part
 * @param {number} [learningRate]
 */
async function pass(part, learningRate) {
  const starts = adjacent(part.length);
  const plan = {
    starts,
    numSteps,
    learningRate: new Float32Array(starts.length / batchSize).fill(learningRate ?? 0),
    maxGradNorm: 5,
    carryState: true,
  };
  await network.loadCorpus(part);
  await network.setState(new Float32Array(batchSize * network.hiddenSize));
  const result = await (learningRate === undefined ? network.evaluate(plan) : network.trainEpoch(plan));
  if (result.stopped === 'non-finite') throw new Error(`diverged after ${result.updates} updates`);
  const lossSum = result.lossSum.reduce((sum, loss) => sum + loss, 0);
  return perplexity(lossSum, result.updates * result.tokens);
}

/**
 * Where each update begins to read, `[updates, batchSize]`: each lane walks through a stretch of its own.
 *
 * @param {number} length
 */
function adjacent(length) {
  const stretch = Math.floor(length / batchSize);
  const updates = Math.floor((stretch - 1) / numSteps);
  return Int32Array.from({ length: updates * batchSize }, (_, index) => {
    const lane = index % batchSize;
    return lane * stretch + Math.floor(index / batchSize) * numSteps;
  });
}
