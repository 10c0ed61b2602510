/** One job's numbers: speed, share of the machine's peak, overhead of `train()`, comparison with peers. */

import { flopPerUpdate } from './jobs.mjs';
import { NetworkRun, overheadOfTrain, updatesOf } from './ours.mjs';
import { measureParts } from './parts.mjs';
import { medianPeak } from './peak.mjs';
import { compareWith, TORCH_PEERS } from './peers.mjs';
import { summary } from './statistics.mjs';

/** Parts that the timed epochs are cut into, with a measurement of the peak before, between and after them. */
const PARTS = 4;

/**
 * @param {import('./jobs.mjs').Job} job
 * @param {import('./peak.mjs').PeakMeter} meter
 * @param {object} options
 * @param {number} options.threads
 * @param {number} options.epochs
 * @param {number} options.repeats turns with each peer
 * @param {string | undefined} options.python a Python with torch
 * @param {(step: string) => void} say
 */
export async function measureJob(job, meter, { threads, epochs, repeats, python }, say) {
  say(`${epochs} epochs through Network`);
  const seconds = [];
  const peaks = [meter.measure()];
  const run = await NetworkRun.start(job, threads);
  while (seconds.length < epochs) {
    const part = Math.min(Math.ceil(epochs / PARTS), epochs - seconds.length);
    seconds.push(...(await run.epochs(part)));
    peaks.push(meter.measure());
  }
  run.dispose();
  say('the parts of an update');
  const parts = measureParts(sizesOf(job), threads);
  say(`${epochs} epochs through Network and train() in turns`);
  const overhead = await overheadOfTrain(job, threads, epochs);
  const comparisons = [];
  for (const peer of python === undefined ? [] : TORCH_PEERS) {
    say(`${repeats} times ${epochs} epochs in turns with ${peer}`);
    comparisons.push(
      await compareWith(/** @type {string} */ (python), peer, job, { threads, epochs, repeats }),
    );
  }

  const updates = updatesOf(job);
  const { name, corpus, batchSize, numSteps } = job;
  const secondsPerEpoch = summary(seconds);
  const gflopPerEpoch = (updates * flopPerUpdate(job)) / 1e9;
  const gflopPerSecond = gflopPerEpoch / secondsPerEpoch.median;
  const peak = medianPeak(peaks);
  return {
    name,
    ...sizesOf(job),
    characters: corpus.characters,
    updatesPerEpoch: updates,
    gflopPerEpoch,
    epochSeconds: seconds,
    secondsPerEpoch,
    charactersPerSecond: (updates * batchSize * numSteps) / secondsPerEpoch.median,
    gflopPerSecond,
    peak,
    peaks: peaks.filter((measured) => measured !== undefined),
    shareOfSgemm: peak === null ? null : gflopPerSecond / peak.sgemm,
    shareOfFma: peak === null || peak.fma === null ? null : gflopPerSecond / peak.fma,
    trainOverTime: overhead,
    parts,
    comparisons,
  };
}

/** @param {import('./jobs.mjs').Job} job */
function sizesOf({ vocabSize, hiddenSize, batchSize, numSteps }) {
  return { vocabSize, hiddenSize, batchSize, numSteps };
}

/** @typedef {Awaited<ReturnType<typeof measureJob>>} Measurement */
