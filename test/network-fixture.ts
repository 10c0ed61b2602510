/** A small network, its corpus and plans for it, the same every time. */

import { type EpochPlan, Network, type NetworkOptions } from '../src/native.js';

/** Odd sizes, so that no block of the backend comes out even. */
export const SIZES = { vocabSize: 13, hiddenSize: 19, batchSize: 5, numSteps: 7 } satisfies NetworkOptions;
export const CORPUS_LENGTH = 300;

/** `length` ids of a vocabulary in no order, the same every time. */
export function someIds(length: number, vocabSize: number): Uint32Array {
  return Uint32Array.from({ length }, (_, i) => Math.floor(((i * 0.6180339887) % 1) * vocabSize));
}

/** A plan of so many updates that fits SIZES. */
export function somePlan(updates: number, changes: Partial<EpochPlan> = {}): EpochPlan {
  const starts = Int32Array.from({ length: updates * SIZES.batchSize }, (_, i) => (i * 31) % 290);
  const learningRate = Float32Array.from({ length: updates }, (_, i) => 0.5 / (i + 1));
  return { starts, numSteps: 7, learningRate, maxGradNorm: 5, carryState: true, ...changes };
}

/** A network with drawn weights and a corpus. */
export async function someNetwork(changes: Partial<NetworkOptions> = {}): Promise<Network> {
  const network = new Network({ ...SIZES, threads: 1, ...changes });
  await network.initialize(1, 0.3);
  await network.loadCorpus(someIds(CORPUS_LENGTH, SIZES.vocabSize));
  return network;
}

/** What a call throws. */
export function failure(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return 'no error';
}
