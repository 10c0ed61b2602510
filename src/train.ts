/**
 * A training run from beginning to end: loops over the epochs, publishes the one stream of events that
 * everything else subscribes to, and saves between them. What a run is made of is put together in setup.ts.
 */

import type { CheckpointWriter } from './checkpoint.js';
import { GruError, throwGruError, toGruError } from './errors.js';
import type { CheckpointEvent, RollbackEvent, TrainEvent } from './events.js';
import { LanguageModel } from './model.js';
import { isCheckpointDue, type Snapshot } from './position.js';
import { metadataOf, prepareRun, type RunParts, type TrainOptions } from './setup.js';

/**
 * A run, as {@link train} makes it: iterate it once for its events, then ask it for the model.
 *
 * @example
 * ```ts
 * import { GruError, loadCorpus, train } from 'gru-native';
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * await using run = train({ corpus, epochs: 2, hiddenSize: 8 }); // disposed of at the end of the block
 * try {
 *   for await (const event of run) if (event.type === 'epoch') console.log(event.perplexity);
 * } catch (error) {
 *   if (!(error instanceof GruError) || error.code !== 'GRU_DIVERGED') throw error;
 *   console.log(error.hint);
 * }
 * const model = await run.model();
 * console.log(await model.generate(corpus.text.slice(0, 2), { length: 20 }));
 * model.dispose();
 * ```
 */
export class TrainingRun implements AsyncIterable<TrainEvent>, AsyncDisposable {
  /** Given up once the run is put together, so that the corpus's text can be freed. */
  #options: TrainOptions | undefined;
  #parts: RunParts | undefined;
  /** Whether a checkpoint was asked for that is not written yet. */
  #saveAsked = false;
  #disposed = false;
  /** What a run that diverges goes back to, if it is to. */
  #lastGood: Snapshot | undefined;
  /** The checkpoint that is there, of this process or of the run that it goes on with. */
  #checkpoint: CheckpointEvent | undefined;

  /** The same as {@link train}. */
  constructor(options: TrainOptions) {
    this.#options = options;
  }

  /**
   * The events, in order: start; for every epoch progress and epoch; at reports sample, and checkpoint when one is
   * due; end. Whoever leaves the iteration early stops the run; what it did is saved if there is an output directory.
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
      if (resume) this.#checkpoint = checkpointOf(this.#parts);
      yield* this.#runEpochs(this.#parts, signal);
    } catch (thrown) {
      throw toGruError(thrown);
    }
  }

  async *#runEpochs(
    parts: RunParts,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<TrainEvent, void, void> {
    const { trainer, config, writer, start } = parts;
    const publish = <Event extends TrainEvent>(event: Event): Event => {
      if (event.type !== 'progress') writer?.log.append(event);
      return event;
    };
    // Even a run that is resumed with nothing left to do is saved: a crash may have come between its two files.
    let saved = false;
    let left = true;
    try {
      yield publish(start);
      if (config.onDivergence === 'rollback') {
        this.#lastGood = parts.lastGood ?? (await trainer.snapshot());
        if (writer !== undefined) yield publish(await this.#save(parts, writer));
      }
      while (trainer.position.epochs < config.epochs && !signal?.aborted) {
        saved = false;
        try {
          for await (const event of trainer.epoch(signal)) yield publish(event);
        } catch (thrown) {
          yield publish(await this.#goBack(parts, thrown));
        }
        if (signal?.aborted || !(this.#saveAsked || isDue(parts))) continue;
        this.#saveAsked = false;
        if (this.#lastGood !== undefined && isDue(parts)) this.#lastGood = await trainer.snapshot();
        const checkpoint = writer === undefined ? undefined : await this.#save(parts, writer);
        saved = true;
        if (checkpoint !== undefined) yield publish(checkpoint);
      }
      const checkpoint = writer === undefined || saved ? undefined : await this.#save(parts, writer);
      saved = true;
      if (checkpoint !== undefined) yield publish(checkpoint);
      const { epochs, perplexity, best, seconds } = trainer.position;
      if (epochs < config.epochs) throw interrupted(parts);
      yield publish({ type: 'end', epochs, perplexity, best, seconds, path: writer?.path ?? null });
      left = false;
    } catch (thrown) {
      left = false;
      throw thrown;
    } finally {
      const unsaved = left && !saved && !this.#disposed;
      if (unsaved && writer !== undefined) publish(await this.#save(parts, writer));
      writer?.close();
    }
  }

  async #save(parts: RunParts, writer: CheckpointWriter): Promise<CheckpointEvent> {
    const { network, trainer, source } = parts;
    await writer.save(network, metadataOf(parts), trainer.position, source);
    if (this.#lastGood === undefined) await writer.forgetGood();
    else if (isDue(parts)) await writer.markGood();
    this.#checkpoint = checkpointOf(parts);
    return this.#checkpoint as CheckpointEvent;
  }

  /** Goes back after a divergence, if the run is to and may; otherwise the error goes on, with what is saved. */
  async #goBack({ trainer, config }: RunParts, thrown: unknown): Promise<RollbackEvent> {
    if (!(thrown instanceof GruError) || thrown.code !== 'GRU_DIVERGED') throw thrown;
    if (this.#lastGood === undefined || trainer.position.rollbacks >= config.maxRollbacks) {
      const { code, message, hint } = thrown;
      const back = trainer.position.rollbacks;
      const tried = back === 0 ? '' : ` after going back ${back === 1 ? 'once' : `${back} times`}`;
      const at = this.#checkpoint;
      const rest =
        at === undefined
          ? 'Nothing was saved yet.'
          : `The last good checkpoint is in ${at.path}, after epoch ${at.epoch}.`;
      throw new GruError(code, `${message}${tried}`, `${hint} ${rest}`, { cause: thrown });
    }
    await trainer.rollBack(this.#lastGood);
    const { epochs, rollbacks } = trainer.position;
    const { learningRate } = trainer;
    return { type: 'rollback', epoch: epochs, rollbacks, learningRate, reason: thrown.message };
  }

  /**
   * Has a checkpoint written after the running update, and the run go on; the `checkpoint` event tells when it is
   * there. Without an output directory, or a run, it does nothing.
   */
  saveNow(): void {
    this.#saveAsked = true;
    this.#parts?.trainer.pause();
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
    const parameters = await network.parameters().catch(throwGruError);
    const model = { ...content, parameters, state: undefined, metadata: metadataOf(this.#parts) };
    return LanguageModel.fromContent(model, { device: config.device });
  }

  /** Stops the native side, frees its memory and lets other runs into the output directory. Idempotent. */
  dispose(): void {
    this.#disposed = true;
    this.#parts?.network.dispose();
    this.#parts?.writer?.close();
  }

  /** Disposes of the run, at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }
}

/**
 * Trains a model: nothing happens before the run is iterated. What is wrong with the options, the corpus, the device or
 * the output directory is thrown by the first step of the iteration.
 *
 * @example
 * ```ts
 * import { loadCorpus, train } from 'gru-native';
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 2, hiddenSize: 8 });
 * for await (const event of run) {
 *   if (event.type === 'epoch') console.log(event.epoch, event.perplexity);
 * }
 * run.dispose();
 * ```
 */
export function train(options: TrainOptions): TrainingRun {
  return new TrainingRun(options);
}

function isDue({ trainer, config }: RunParts): boolean {
  return isCheckpointDue(config, trainer.position);
}

/** The checkpoint of a run as it is now; undefined without an output directory. */
function checkpointOf({ trainer, writer }: RunParts): CheckpointEvent | undefined {
  if (writer === undefined) return undefined;
  const { epochs, lossSums } = trainer.position;
  return { type: 'checkpoint', epoch: epochs, updates: lossSums.length, path: writer.path };
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
