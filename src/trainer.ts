/**
 * The training loop: epochs of updates, reported as typed events. It owns the position in the run and nothing
 * else: order, rates, clipping statistics and perplexity come from leaves, arithmetic from the network, and
 * whoever wants to save does so between two events.
 */

import { planEpoch, updatesPerEpoch } from './batches.js';
import { clippedShare, medianNorm } from './clipping.js';
import { carriesState, type TrainingConfig } from './config.js';
import { divergenceAdvice, HIGH_EPOCHS, highLoss, highLosses, notFinite } from './divergence.js';
import { GruError } from './errors.js';
import type { EpochEvent, ProgressEvent, SampleEvent } from './events.js';
import { generateTexts } from './generator.js';
import { CancelFlag, type EpochProgress, type Network } from './native.js';
import { perplexity } from './perplexity.js';
import { type Position, type Snapshot, START } from './position.js';
import { learningRateAfter, learningRates, reportsAfter } from './schedule.js';
import type { Vocabulary } from './vocabulary.js';

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
  #position: Position;
  /** What the last epoch showed; undefined before the first of this process. */
  #lastEpoch: EpochEvent | undefined;
  /** Stops the native call that is running. */
  #cancel: CancelFlag | undefined;
  #pauseAsked = false;
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

  /** Has the epoch that is running, or else the next one, return after the running update. */
  pause(): void {
    this.#pauseAsked = true;
    this.#cancel?.cancel();
  }

  /** The run as it is now; the network must not train meanwhile. */
  async snapshot(): Promise<Snapshot> {
    const { network } = this.#input;
    const [parameters, state] = [await network.parameters(), await network.state()];
    return { parameters, state, position: structuredClone(this.#position) };
  }

  /** Goes back to a snapshot, with half the learning rate from there on. */
  async rollBack({ parameters, state, position }: Snapshot): Promise<void> {
    const { network } = this.#input;
    await network.setParameters(parameters);
    await network.setState(state);
    const { rollbacks, seconds } = this.#position;
    this.#position = { ...structuredClone(position), rollbacks: rollbacks + 1, seconds };
  }

  /** The learning rate now. */
  get learningRate(): number {
    return learningRateAfter(this.#input.config, this.#position.rollbacks);
  }

  /**
   * Trains what is left of the current epoch, and writes the samples if a report is due after it. When the
   * signal aborts, or {@link Trainer.pause} is called, it returns with the running update finished, and what is
   * saved then, or trained next, goes on from there.
   *
   * @throws GruError GRU_DIVERGED when a loss or gradient is not finite, that update not being applied; or when the
   * loss was far above that of guessing for {@link HIGH_EPOCHS} epochs
   */
  async *epoch(signal?: AbortSignal): AsyncGenerator<ProgressEvent | EpochEvent | SampleEvent, void, void> {
    yield* this.#runUpdates(signal);
    if (this.#position.lossSums.length < this.updatesPerEpoch) return;
    const event = this.#completeEpoch();
    yield event;
    if (this.#position.highEpochs >= HIGH_EPOCHS)
      throw this.#diverged(highLosses(event, this.#input.vocabulary.size));
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
      learningRate: learningRates(this.learningRate, this.updatesPerEpoch),
      maxGradNorm: config.maxGradNorm,
      carryState: carriesState(config),
    };
    const cancel = new CancelFlag();
    this.#cancel = cancel;
    const onAbort = () => cancel.cancel();
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted || this.#pauseAsked) cancel.cancel();
    let latest: EpochProgress | undefined;
    let stopped: string;
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
    } finally {
      signal?.removeEventListener('abort', onAbort);
      // A consumer that leaves the iteration early must not leave the native call running, nor lose what it did.
      cancel.cancel();
      this.#cancel = undefined;
      this.#pauseAsked = false;
      const result = await running;
      for (const lossSum of result.lossSum) position.lossSums.push(lossSum);
      for (const norm of result.gradientNorm) position.gradientNorms.push(norm);
      position.epochSeconds += result.seconds;
      position.seconds += result.seconds;
      stopped = result.stopped;
    }
    if (stopped === 'non-finite') throw this.#diverged(notFinite(position));
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
      learningRate: this.learningRate,
      gradNormMedian: medianNorm(position.gradientNorms),
      clippedShare: clippedShare(position.gradientNorms, config.maxGradNorm),
    };
    const isHigh = !(lossSum / tokens <= highLoss(this.#input.vocabulary.size));
    Object.assign(position, {
      epochs: event.epoch,
      lossSums: [],
      gradientNorms: [],
      epochSeconds: 0,
      perplexity: event.perplexity,
      highEpochs: isHigh ? position.highEpochs + 1 : 0,
    } satisfies Partial<Position>);
    if (event.perplexity < (position.best?.perplexity ?? Number.POSITIVE_INFINITY)) {
      position.best = { epoch: event.epoch, perplexity: event.perplexity };
    }
    this.#lastEpoch = event;
    return event;
  }

  async *#samples(epoch: number): AsyncGenerator<SampleEvent, void, void> {
    const { network, vocabulary, config } = this.#input;
    const { prefixes, sampleLength: length } = config;
    const texts = await generateTexts(network, vocabulary, prefixes, { length });
    for (const [index, prefix] of prefixes.entries()) {
      yield { type: 'sample', epoch, prefix, text: texts[index] as string };
    }
  }

  /** The error of a run that diverged, with advice by what was seen last. */
  #diverged(message: string): GruError {
    const { maxGradNorm } = this.#input.config;
    const { gradientNorms } = this.#position;
    const seen =
      gradientNorms.length === 0
        ? this.#lastEpoch
        : {
            gradNormMedian: medianNorm(gradientNorms),
            clippedShare: clippedShare(gradientNorms, maxGradNorm),
          };
    const { learningRate } = this;
    return new GruError('GRU_DIVERGED', message, divergenceAdvice({ ...seen, learningRate, maxGradNorm }));
  }
}
