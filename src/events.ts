/**
 * The typed events of a training run. Every view (terminal, NDJSON, event log) and the checkpoint writer
 * subscribe to this one stream; events.schema.json describes its NDJSON form.
 */

import type { TrainingConfig } from './config.js';
import type { ErrorCode } from './errors.js';

/**
 * A GPU that does the arithmetic.
 *
 * @example
 * ```ts
 * import { type Gpu, loadCorpus, type StartEvent, train } from 'gru-native';
 *
 * function show(event: StartEvent): void {
 *   const gpu: Gpu | undefined = event.gpu;
 *   console.log(gpu?.name ?? 'no GPU');
 * }
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'start') show(event);
 * run.dispose();
 * ```
 */
export interface Gpu {
  /** Its number, as in `cuda:N`. */
  index: number;
  /** Its name. */
  name: string;
  /** Its compute capability, such as `9.0`. */
  computeCapability: string;
  /** All of its memory, in bytes. */
  memoryBytes: number;
  /** The highest version of CUDA that the driver supports, such as `12.4`. */
  cudaVersion: string;
  /** The release of the driver, such as `550.54.14`, where the system tells it. */
  driverRelease?: string;
  /** The PTX that was loaded, ` + ` between its names. */
  ptx: string;
  /** Time that loading it took, in seconds; the first time on a machine the driver compiles it. */
  moduleSeconds: number;
}

/**
 * The first event: what will run, where.
 *
 * @example
 * ```ts
 * import { loadCorpus, type StartEvent, train } from 'gru-native';
 *
 * function show(event: StartEvent): void {
 *   console.log(`${event.parameters} parameters on ${event.device}`);
 * }
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'start') show(event);
 * run.dispose();
 * ```
 */
export interface StartEvent {
  type: 'start';
  /** All options, defaults filled in. */
  config: TrainingConfig;
  /** What is trained on. */
  corpus: {
    /** Its name. */
    name: string;
    /** Characters used. */
    characters: number;
    /** Characters the corpus has. */
    totalCharacters: number;
    /** Distinct characters. */
    vocabSize: number;
    /** Hex SHA-256 of the text used, as UTF-8, newlines as spaces. */
    sha256: string;
  };
  /** `cpu` or `cuda:N`. */
  device: string;
  /** Where the CPU does the arithmetic, the instructions that its products use. */
  cpuPath?: 'portable' | 'avx2' | 'avx512' | 'neon' | 'portable-bf16' | 'avx2-bf16' | 'avx512-bf16';
  /** The GPU, where one does the arithmetic. */
  gpu?: Gpu;
  /** Number of trained parameters. */
  parameters: number;
  /** Arithmetic of the products. */
  precision: string;
  /** Threads of the CPU backend; 1 where a GPU does the arithmetic. */
  threads: number;
  /** Updates of an epoch. */
  updatesPerEpoch: number;
  /** Epochs that were done before (resuming). */
  epochsDone: number;
  /** Sentences the user should see once. */
  notices: string[];
}

/**
 * While an epoch runs, a few times a second; not part of the NDJSON output.
 *
 * @example
 * ```ts
 * import { loadCorpus, type ProgressEvent, train } from 'gru-native';
 *
 * function show(event: ProgressEvent): void {
 *   console.log(`epoch ${event.epoch}, update ${event.updates}`);
 * }
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'progress') show(event);
 * run.dispose();
 * ```
 */
export interface ProgressEvent {
  type: 'progress';
  /** The epoch that is running, counted from 1. */
  epoch: number;
  /** Updates done of this epoch. */
  updates: number;
  /**
   * Cross-entropy summed over predictions, in nats: of the epoch's updates since it began, or went on after a save.
   */
  lossSum: number;
  /** Number of those predictions. */
  tokens: number;
}

/**
 * After every epoch.
 *
 * @example
 * ```ts
 * import { type EpochEvent, loadCorpus, train } from 'gru-native';
 *
 * function show(event: EpochEvent): void {
 *   console.log(`epoch ${event.epoch}: perplexity ${event.perplexity}`);
 * }
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'epoch') show(event);
 * run.dispose();
 * ```
 */
export interface EpochEvent {
  type: 'epoch';
  /** The epoch that ended, counted from 1. */
  epoch: number;
  /** exp(lossSum / tokens), from the training pass itself. */
  perplexity: number;
  /** Cross-entropy summed over the epoch's predictions, in nats. */
  lossSum: number;
  /** Number of the epoch's predictions. */
  tokens: number;
  /** Time of the epoch's updates. */
  seconds: number;
  /** Predictions a second. */
  tokensPerSecond: number;
  /** The learning rate of the epoch. */
  learningRate: number;
  /** Median over the updates of the gradient's L2 norm before clipping. */
  gradNormMedian: number;
  /** Share of the updates whose gradient was clipped, 0 to 1. */
  clippedShare: number;
}

/**
 * At a report, one for each prefix.
 *
 * @example
 * ```ts
 * import { loadCorpus, type SampleEvent, train } from 'gru-native';
 *
 * function show(event: SampleEvent): void {
 *   console.log(event.text);
 * }
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8, reportEvery: 1, sampleLength: 10 });
 * for await (const event of run) if (event.type === 'sample') show(event);
 * run.dispose();
 * ```
 */
export interface SampleEvent {
  type: 'sample';
  /** The epoch after which it was written. */
  epoch: number;
  /** What it begins with. */
  prefix: string;
  /** The text, prefix included. */
  text: string;
}

/**
 * After a checkpoint was written.
 *
 * @example
 * ```ts
 * import { type CheckpointEvent, loadCorpus, train } from 'gru-native';
 *
 * function show(event: CheckpointEvent): void {
 *   console.log(`saved in ${event.path} after epoch ${event.epoch}`);
 * }
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8, out: 'gru-model', overwrite: true });
 * for await (const event of run) if (event.type === 'checkpoint') show(event);
 * run.dispose();
 * ```
 */
export interface CheckpointEvent {
  type: 'checkpoint';
  /** Epochs completed. */
  epoch: number;
  /** Updates done of the epoch after them. */
  updates: number;
  /** Directory that holds it. */
  path: string;
}

/**
 * A run that had diverged went back to its last good point and goes on from there with half the learning rate.
 *
 * @example
 * ```ts
 * import { loadCorpus, type RollbackEvent, train } from 'gru-native';
 *
 * function show(event: RollbackEvent): void {
 *   console.log(`${event.reason}; back after epoch ${event.epoch}`);
 * }
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8, onDivergence: 'rollback' });
 * for await (const event of run) if (event.type === 'rollback') show(event);
 * run.dispose();
 * ```
 */
export interface RollbackEvent {
  type: 'rollback';
  /** Epochs completed at the point gone back to. */
  epoch: number;
  /** How often the run has gone back. */
  rollbacks: number;
  /** The learning rate from now on. */
  learningRate: number;
  /** What had happened. */
  reason: string;
}

/**
 * The epoch with the lowest perplexity so far.
 *
 * @example
 * ```ts
 * import { type BestEpoch, type EndEvent, loadCorpus, train } from 'gru-native';
 *
 * function show(event: EndEvent): void {
 *   const best: BestEpoch | null = event.best;
 *   console.log(best?.epoch);
 * }
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'end') show(event);
 * run.dispose();
 * ```
 */
export interface BestEpoch {
  /** Its number, counted from 1. */
  epoch: number;
  /** Its perplexity. */
  perplexity: number;
}

/**
 * The last event of a run that reached its end.
 *
 * @example
 * ```ts
 * import { type EndEvent, loadCorpus, train } from 'gru-native';
 *
 * function show(event: EndEvent): void {
 *   console.log(`${event.epochs} epochs in ${event.seconds} s`);
 * }
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'end') show(event);
 * run.dispose();
 * ```
 */
export interface EndEvent {
  type: 'end';
  /** Epochs done, those before a resume included. */
  epochs: number;
  /** Of the last epoch; null when none was trained. */
  perplexity: number | null;
  /** The best of all epochs; null when none was trained. */
  best: BestEpoch | null;
  /** Time of all updates, those before a resume included. */
  seconds: number;
  /** Directory of the saved model; null when the run was not to save one. */
  path: string | null;
}

/**
 * What went wrong; only in the NDJSON output, where the library throws.
 *
 * @example
 * ```ts
 * import { execFile } from 'node:child_process';
 * import { createRequire } from 'node:module';
 * import { dirname, join } from 'node:path';
 * import { promisify } from 'node:util';
 * import type { ErrorEvent } from 'gru-native';
 *
 * const root = dirname(createRequire(import.meta.url).resolve('gru-native/package.json'));
 * const args = [join(root, 'dist/cli/main.js'), 'train', 'no-such-file.txt', '--json'];
 * await promisify(execFile)(process.execPath, args).catch(({ stdout }: { stdout: string }) => {
 *   const event: ErrorEvent = JSON.parse(stdout);
 *   console.log(event.code); // GRU_CORPUS
 * });
 * ```
 */
export interface ErrorEvent {
  type: 'error';
  /** Its stable code. */
  code: ErrorCode;
  /** The cause in one line. */
  message: string;
  /** The remedy in one line; empty when there is nothing to add. */
  hint: string;
}

/**
 * Everything that a training run yields; `type` tells which.
 *
 * @example
 * ```ts
 * import { loadCorpus, train, type TrainEvent } from 'gru-native';
 *
 * function lineOf(event: TrainEvent): string {
 *   switch (event.type) {
 *     case 'epoch':
 *       return `epoch ${event.epoch}, perplexity ${event.perplexity}`;
 *     case 'sample':
 *       return event.text;
 *     default:
 *       return event.type;
 *   }
 * }
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8, reportEvery: 1, sampleLength: 10 });
 * for await (const event of run) console.log(lineOf(event));
 * run.dispose();
 * ```
 */
export type TrainEvent =
  | StartEvent
  | ProgressEvent
  | EpochEvent
  | SampleEvent
  | CheckpointEvent
  | RollbackEvent
  | EndEvent;

/** Version of the NDJSON form, the `v` of every line. */
export const EVENT_VERSION = 1;

/** One line of NDJSON, with its newline. */
export function toNdjson(event: object): string {
  return `${JSON.stringify({ v: EVENT_VERSION, ...event })}\n`;
}
