/**
 * The training loop: epochs of updates, reported as typed events. It owns the position in the run and nothing
 * else: order, rates, clipping statistics and perplexity come from leaves, arithmetic from the network, and
 * whoever wants to save does so between two events.
 */

import { planEpoch, updatesPerEpoch } from './batches.js';
import { clippedShare, medianNorm } from './clipping.js';
import { carriesState, type TrainingConfig } from './config.js';
import { GruError } from './errors.js';
import type { EpochEvent, ProgressEvent, SampleEvent } from './events.js';
import { generateText } from './generator.js';
import { CancelFlag, type EpochProgress, type Network } from './native.js';
import { perplexity } from './perplexity.js';
import { learningRates, reportsAfter } from './schedule.js';
import type { Vocabulary } from './vocabulary.js';

/** Where a run is. All of it is saved, so that a resumed run goes on as if it had never stopped. */
export interface Position {
  /** Epochs completed. */
  epochs: number;
  /** Loss of each update done of the epoch that is under way, in nats. */
  lossSums: number[];
  /** Gradient norm before clipping of each of them. */
  gradientNorms: number[];
  /** Seconds spent on them. */
  epochSeconds: number;
  /** Perplexity of the last completed epoch. */
  perplexity: number | null;
  /** Seconds trained in all. */
  seconds: number;
}

/** The position before the first update. */
export const START: Readonly<Position> = {
  epochs: 0,
  lossSums: [],
  gradientNorms: [],
  epochSeconds: 0,
  perplexity: null,
  seconds: 0,
};

/** What the loop works on. The network has the corpus loaded and its parameters set. */
export interface TrainerInput {
  network: Network;
  vocabulary: Vocabulary;
  /** Characters of the loaded corpus. */
  corpusLength: number;
  config: TrainingConfig;
  position?: Position;
}

/** One training run. */
export class Trainer {
  readonly #input: TrainerInput;
  readonly #position: Position;
  readonly updatesPerEpoch: number;

  /** @throws GruError GRU_CORPUS_TOO_SHORT */
  constructor(input: TrainerInput) {
    this.#input = input;
    this.#position = structuredClone(input.position ?? START) as Position;
    this.updatesPerEpoch = updatesPerEpoch(input.corpusLength, input.config);
  }

  /** Where the run is now. */
  get position(): Readonly<Position> {
    return this.#position;
  }

  /**
   * Trains what is left of the current epoch, and writes the samples if a report is due after it. When the
   * signal aborts, it returns with the running update finished, and what is saved then goes on from there.
   *
   * @throws GruError GRU_DIVERGED when a loss or gradient is not finite; that update was not applied
   */
  async *epoch(signal?: AbortSignal): AsyncGenerator<ProgressEvent | EpochEvent | SampleEvent, void, void> {
    yield* this.#runUpdates(signal);
    if (this.#position.lossSums.length < this.updatesPerEpoch) return;
    const event = this.#completeEpoch();
    yield event;
    if (reportsAfter(this.#input.config, event.epoch)) yield* this.#samples(event.epoch);
  }

  /** One native call for what is left of the epoch. */
  async *#runUpdates(signal?: AbortSignal): AsyncGenerator<ProgressEvent, void, void> {
    const { network, config, corpusLength } = this.#input;
    const position = this.#position;
    const epoch = position.epochs + 1;
    const firstUpdate = position.lossSums.length;
    if (firstUpdate === 0) await network.setState(new Float32Array(config.batchSize * config.hiddenSize));
    const plan = {
      starts: planEpoch(corpusLength, config, epoch),
      firstUpdate,
      numSteps: config.numSteps,
      learningRate: learningRates(config, this.updatesPerEpoch),
      maxGradNorm: config.maxGradNorm,
      carryState: carriesState(config),
    };
    const cancel = new CancelFlag();
    const onAbort = () => cancel.cancel();
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) cancel.cancel();
    let latest: EpochProgress | undefined;
    let wake = () => {};
    const running = network.trainEpoch(plan, cancel, (progress) => {
      latest = progress;
      wake();
    });
    try {
      let done = false;
      const settle = () => {
        done = true; // a rejection is thrown by `await running` below
      };
      const finished = running.then(settle, settle);
      while (!done) {
        await Promise.race([finished, new Promise<void>((resolve) => (wake = resolve))]);
        if (latest !== undefined && !done) {
          const { updates, lossSum, tokens } = latest;
          latest = undefined;
          yield { type: 'progress', epoch, updates: firstUpdate + updates, lossSum, tokens };
        }
      }
      const result = await running;
      for (const lossSum of result.lossSum) position.lossSums.push(lossSum);
      for (const norm of result.gradientNorm) position.gradientNorms.push(norm);
      position.epochSeconds += result.seconds;
      position.seconds += result.seconds;
      if (result.stopped === 'non-finite') throw this.#diverged();
    } finally {
      signal?.removeEventListener('abort', onAbort);
      cancel.cancel(); // a consumer that left the iteration early must not leave the native call running
    }
  }

  #completeEpoch(): EpochEvent {
    const { config } = this.#input;
    const position = this.#position;
    const lossSum = position.lossSums.reduce((sum, loss) => sum + loss, 0);
    const tokens = this.updatesPerEpoch * config.batchSize * config.numSteps;
    const event: EpochEvent = {
      type: 'epoch',
      epoch: position.epochs + 1,
      perplexity: perplexity(lossSum, tokens),
      lossSum,
      tokens,
      seconds: position.epochSeconds,
      tokensPerSecond: tokens / position.epochSeconds,
      learningRate: config.learningRate,
      gradNormMedian: medianNorm(position.gradientNorms),
      clippedShare: clippedShare(position.gradientNorms, config.maxGradNorm),
    };
    Object.assign(position, { epochs: event.epoch, lossSums: [], gradientNorms: [], epochSeconds: 0 });
    position.perplexity = event.perplexity;
    return event;
  }

  async *#samples(epoch: number): AsyncGenerator<SampleEvent, void, void> {
    const { network, vocabulary, config } = this.#input;
    for (const prefix of config.prefixes) {
      const text = await generateText(network, vocabulary, prefix, { length: config.sampleLength });
      yield { type: 'sample', epoch, prefix, text };
    }
  }

  #diverged(): GruError {
    const { config } = this.#input;
    const { epochs, lossSums, gradientNorms } = this.#position;
    const seen =
      gradientNorms.length > 0
        ? `; the gradient norms before it had the median ${medianNorm(gradientNorms).toPrecision(3)}`
        : '';
    return new GruError(
      'GRU_DIVERGED',
      `expected a finite loss and gradient, received one that is not at update ${lossSums.length + 1} of epoch ${epochs + 1}${seen}`,
      `That update was not applied. Try a lower --learning-rate (now ${config.learningRate}) or --max-grad-norm (now ${config.maxGradNorm}).`,
    );
  }
}
