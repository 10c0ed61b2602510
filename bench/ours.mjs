/** Our side: a job trained through the `Network` class, and through `train()`. */

import { planEpoch, updatesPerEpoch } from '../dist/batches.js';
import { DEFAULT_CONFIG, Network, perplexity, train } from '../dist/index.js';
import { Failure } from './options.mjs';
import { median } from './statistics.mjs';

/** @typedef {import('./jobs.mjs').Job} Job */

/** The chapter's training, without anything that is not training. */
const OPTIONS = {
  sampling: /** @type {const} */ ('adjacent'),
  device: /** @type {const} */ ('cpu'),
  prefixes: [],
};

/** What both sides train with; the sizes are the job's. */
function configOf(/** @type {Job} */ { hiddenSize, batchSize, numSteps }) {
  return { ...DEFAULT_CONFIG, ...OPTIONS, hiddenSize, batchSize, numSteps };
}

/**
 * Updates in an epoch of a job.
 *
 * @param {Job} job
 */
export function updatesOf(job) {
  return updatesPerEpoch(job.ids.length, configOf(job));
}

/** A job trained through `Network.trainEpoch`, from the start, one epoch after the other. */
export class NetworkRun {
  #network;
  #plan;
  #zeroState;
  /** Of the last epoch. */
  perplexity = Number.NaN;

  /**
   * @param {Job} job
   * @param {Network} network
   */
  constructor(job, network) {
    const config = configOf(job);
    this.#network = network;
    this.#plan = {
      starts: planEpoch(job.ids.length, config, 1),
      numSteps: job.numSteps,
      learningRate: new Float32Array(updatesOf(job)).fill(config.learningRate),
      maxGradNorm: config.maxGradNorm,
      carryState: true,
    };
    this.#zeroState = new Float32Array(job.batchSize * job.hiddenSize);
  }

  /**
   * Makes the network ready and trains one epoch to warm up.
   *
   * @param {Job} job
   * @param {number} threads
   */
  static async start(job, threads) {
    const { vocabSize, hiddenSize, batchSize, numSteps, ids } = job;
    const network = new Network({ vocabSize, hiddenSize, batchSize, numSteps, threads, device: 'cpu' });
    await network.loadCorpus(ids);
    await network.initialize(DEFAULT_CONFIG.seed, DEFAULT_CONFIG.initScale);
    const run = new NetworkRun(job, network);
    await run.epochs(1);
    return run;
  }

  /**
   * Trains more epochs.
   *
   * @param {number} count
   * @returns {Promise<number[]>} wall-clock seconds of each
   */
  async epochs(count) {
    const seconds = [];
    for (let epoch = 0; epoch < count; epoch += 1) {
      const start = performance.now();
      await this.#network.setState(this.#zeroState);
      const { lossSum, tokens, stopped } = await this.#network.trainEpoch(this.#plan);
      seconds.push((performance.now() - start) / 1000);
      if (stopped !== 'completed')
        throw new Failure(`expected a whole epoch, received one that is ${stopped}`);
      const total = lossSum.reduce((sum, loss) => sum + loss, 0);
      this.perplexity = perplexity(total, lossSum.length * tokens);
    }
    return seconds;
  }

  dispose() {
    this.#network.dispose();
  }
}

/**
 * Trains a job through `train()`. Nothing is computed before the next epoch is asked for.
 *
 * @param {Job} job
 * @param {number} threads
 * @param {number} epochs
 * @returns {AsyncGenerator<{ seconds: number, perplexity: number }, void, void>} wall-clock seconds of each
 */
async function* trainedEpochs(job, threads, epochs) {
  const run = train({ ...configOf(job), corpus: job.corpus, threads, epochs, reportEvery: epochs });
  try {
    let start = 0;
    for await (const event of run) {
      if (event.type === 'start') start = performance.now();
      if (event.type !== 'epoch') continue;
      yield { seconds: (performance.now() - start) / 1000, perplexity: event.perplexity };
      start = performance.now();
    }
  } finally {
    run.dispose();
  }
}

/**
 * What `train()` costs on top of the network itself: both train the same epochs, taking turns.
 *
 * @param {Job} job
 * @param {number} threads
 * @param {number} epochs
 * @returns {Promise<number>} median over the epochs of the ratio of their times
 */
export async function overheadOfTrain(job, threads, epochs) {
  const network = await NetworkRun.start(job, threads);
  const throughTrain = trainedEpochs(job, threads, epochs + 1);
  try {
    await throughTrain.next(); // the epoch to warm up
    const ratios = [];
    for (let epoch = 0; epoch < epochs; epoch += 1) {
      const [direct] = await network.epochs(1);
      const trained = (await throughTrain.next()).value;
      if (trained?.perplexity !== network.perplexity) {
        throw new Failure(
          `expected train() to reach perplexity ${network.perplexity} like the network, received ${trained?.perplexity}`,
        );
      }
      ratios.push(trained.seconds / direct);
    }
    return median(ratios);
  } finally {
    await throughTrain.return();
    network.dispose();
  }
}
