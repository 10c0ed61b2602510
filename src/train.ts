/**
 * A training run from beginning to end: loops over the epochs, publishes the one stream of events that
 * everything else subscribes to, and saves between them. What a run is made of is put together in setup.ts.
 */

import type { CheckpointWriter } from './checkpoint.js';
import { GruError, toGruError } from './errors.js';
import type { CheckpointEvent, TrainEvent } from './events.js';
import { LanguageModel } from './model.js';
import { reportsAfter } from './schedule.js';
import { metadataOf, prepareRun, type RunParts, type TrainOptions } from './setup.js';

/** A run: iterate it once for its events, then ask it for the model. */
export class TrainingRun implements AsyncIterable<TrainEvent>, AsyncDisposable {
  /** Given up once the run is put together, so that the corpus's text can be freed. */
  #options: TrainOptions | undefined;
  #parts: RunParts | undefined;

  constructor(options: TrainOptions) {
    this.#options = options;
  }

  /**
   * The events, in order: start; for every epoch progress and epoch; at reports sample and checkpoint; end.
   *
   * @throws GruError among others GRU_DIVERGED, and GRU_INTERRUPTED when the signal stopped the run
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<TrainEvent, void, void> {
    if (this.#options === undefined) {
      throw new GruError('GRU_USAGE', 'expected to be iterated once, received a second iteration');
    }
    const { signal, resume } = this.#options;
    const preparing = prepareRun(this.#options);
    this.#options = undefined;
    try {
      this.#parts = await preparing;
      yield* this.#runEpochs(this.#parts, resume === true, signal);
    } catch (thrown) {
      throw toGruError(thrown);
    }
  }

  /** @param saved - whether the run, as it is now, is saved already */
  async *#runEpochs(
    parts: RunParts,
    saved: boolean,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<TrainEvent, void, void> {
    const { trainer, config, writer, start } = parts;
    const publish = <Event extends TrainEvent>(event: Event): Event => {
      if (event.type !== 'progress') writer?.log.append(event);
      return event;
    };
    try {
      yield publish(start);
      while (trainer.position.epochs < config.epochs && !signal?.aborted) {
        saved = false;
        for await (const event of trainer.epoch(signal)) yield publish(event);
        if (signal?.aborted || !reportsAfter(config, trainer.position.epochs)) continue;
        if (writer !== undefined) yield publish(await save(parts, writer));
        saved = true;
      }
      if (writer !== undefined && !saved) yield publish(await save(parts, writer));
      const { epochs, perplexity, seconds } = trainer.position;
      if (epochs < config.epochs) throw interrupted(parts);
      yield publish({ type: 'end', epochs, perplexity, seconds, path: writer?.path ?? null });
    } finally {
      writer?.log.close();
    }
  }

  /**
   * The model as it is now: after the events have ended, the trained one.
   *
   * @throws GruError GRU_USAGE before the first event
   */
  async model(): Promise<LanguageModel> {
    if (this.#parts === undefined) {
      throw new GruError(
        'GRU_USAGE',
        'expected a run that has begun, received one that was not iterated yet',
      );
    }
    const { network, content, config } = this.#parts;
    const parameters = await network.parameters();
    const model = { ...content, parameters, state: undefined, metadata: metadataOf(this.#parts) };
    return LanguageModel.fromContent(model, { device: config.device });
  }

  /** Stops the native side and frees its memory. Idempotent. */
  dispose(): void {
    this.#parts?.network.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }
}

/**
 * Trains a model.
 *
 * @example
 * for await (const event of train({ corpus, epochs: 20 })) {
 *   if (event.type === 'epoch') console.log(event.epoch, event.perplexity);
 * }
 */
export function train(options: TrainOptions): TrainingRun {
  return new TrainingRun(options);
}

async function save(parts: RunParts, writer: CheckpointWriter): Promise<CheckpointEvent> {
  const { network, trainer, source } = parts;
  await writer.save(network, metadataOf(parts), trainer.position, source);
  return { type: 'checkpoint', epoch: trainer.position.epochs, path: writer.path };
}

function interrupted({ trainer, writer, config }: RunParts): GruError {
  const { epochs, lossSums } = trainer.position;
  const updates = `${lossSums.length} of ${trainer.updatesPerEpoch} updates`;
  return new GruError(
    'GRU_INTERRUPTED',
    `stopped on request after ${epochs} of ${config.epochs} epochs and ${updates}`,
    writer === undefined
      ? 'Nothing was saved, as no output directory was given.'
      : `All of it is saved in ${writer.path}.`,
  );
}
