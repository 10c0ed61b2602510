/**
 * The typed events of a training run. Every view (terminal, NDJSON, event log) and the checkpoint writer
 * subscribe to this one stream; events.schema.json describes its NDJSON form.
 */

import type { TrainingConfig } from './config.js';
import type { ErrorCode } from './errors.js';

/** A GPU that does the arithmetic. */
export interface Gpu {
  /** Its number, as in `cuda:N`. */
  index: number;
  name: string;
  /** Such as `9.0`. */
  computeCapability: string;
  /** All of its memory. */
  memoryBytes: number;
  /** The highest version of CUDA that the driver supports, such as `12.4`. */
  cudaVersion: string;
  /** The release of the driver, such as `550.54.14`, where the system tells it. */
  driverRelease?: string;
  /** The PTX that was loaded. */
  ptx: string;
  /** Time that loading it took; the first time on a machine the driver compiles it. */
  moduleSeconds: number;
}

/** The first event: what will run, where. */
export interface StartEvent {
  type: 'start';
  config: TrainingConfig;
  corpus: {
    name: string;
    /** Characters used. */
    characters: number;
    /** Characters the corpus has. */
    totalCharacters: number;
    vocabSize: number;
    /** Of the text used, as UTF-8, newlines as spaces. */
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
  precision: string;
  threads: number;
  updatesPerEpoch: number;
  /** Epochs that were done before (resuming). */
  epochsDone: number;
  /** Sentences the user should see once. */
  notices: string[];
}

/** While an epoch runs, a few times a second; not part of the NDJSON output. */
export interface ProgressEvent {
  type: 'progress';
  epoch: number;
  /** Updates done of this epoch. */
  updates: number;
  lossSum: number;
  tokens: number;
}

/** After every epoch. */
export interface EpochEvent {
  type: 'epoch';
  epoch: number;
  /** exp(lossSum / tokens), from the training pass itself. */
  perplexity: number;
  /** Cross-entropy summed over the epoch's predictions, in nats. */
  lossSum: number;
  tokens: number;
  seconds: number;
  tokensPerSecond: number;
  learningRate: number;
  /** Median over the updates of the gradient's L2 norm before clipping. */
  gradNormMedian: number;
  /** Share of the updates whose gradient was clipped, 0 to 1. */
  clippedShare: number;
}

/** At a report, one for each prefix. */
export interface SampleEvent {
  type: 'sample';
  epoch: number;
  prefix: string;
  /** Prefix included. */
  text: string;
}

/** After a checkpoint was written. */
export interface CheckpointEvent {
  type: 'checkpoint';
  /** Epochs completed. */
  epoch: number;
  /** Updates done of the epoch after them. */
  updates: number;
  /** Directory that holds it. */
  path: string;
}

/** A run that had diverged went back to its last good point and goes on from there with half the learning rate. */
export interface RollbackEvent {
  type: 'rollback';
  /** Epochs completed at the point gone back to. */
  epoch: number;
  /** How often the run has gone back. */
  rollbacks: number;
  /** From now on. */
  learningRate: number;
  /** What had happened. */
  reason: string;
}

/** The epoch with the lowest perplexity so far. */
export interface BestEpoch {
  epoch: number;
  perplexity: number;
}

/** The last event of a run that reached its end. */
export interface EndEvent {
  type: 'end';
  epochs: number;
  /** Of the last epoch; null when none was trained. */
  perplexity: number | null;
  /** The best of all epochs; null when none was trained. */
  best: BestEpoch | null;
  seconds: number;
  /** Directory of the saved model; null when the run was not to save one. */
  path: string | null;
}

/** What went wrong; only in the NDJSON output, where the library throws. */
export interface ErrorEvent {
  type: 'error';
  code: ErrorCode;
  message: string;
  hint: string;
}

/** Everything that a training run yields. */
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
