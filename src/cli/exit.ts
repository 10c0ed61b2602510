/** Exit codes: the one place where they are decided. */

import type { ErrorCode, GruError } from '../errors.js';

/** The codes and their meaning, as help prints them. */
export const EXIT: readonly (readonly [number, string])[] = [
  [0, 'done'],
  [1, 'failed'],
  [2, 'usage'],
  [3, 'bad corpus, model file or vocabulary'],
  [4, 'device not available'],
  [5, 'diverged'],
  [129, 'SIGHUP'],
  [130, 'Ctrl-C'],
  [143, 'SIGTERM'],
];

const BY_CODE: Readonly<Record<ErrorCode, number>> = {
  GRU_USAGE: 2,
  GRU_OUTPUT_EXISTS: 2,
  GRU_OUTPUT_BUSY: 2,
  GRU_CORPUS: 3,
  GRU_CORPUS_TOO_SHORT: 3,
  GRU_CORPUS_DOWNLOAD: 3,
  GRU_MODEL: 3,
  GRU_VOCABULARY: 3,
  GRU_DEVICE: 4,
  GRU_DEVICE_FAULT: 1,
  GRU_ADDON: 1,
  GRU_DIVERGED: 5,
  GRU_INTERRUPTED: 130,
  GRU_IO: 1,
  GRU_OUT_OF_MEMORY: 1,
  GRU_DISPOSED: 1,
  GRU_INTERNAL: 1,
};

/** Signals that stop a run, with the code of a run that they stopped; a closed output is a quiet success. */
export const STOP_SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, SIGPIPE: 0 } as const;

/** The signal that stopped a run, as the reason of its AbortSignal. */
export interface StopReason {
  signal: keyof typeof STOP_SIGNALS;
}

/** The exit code for an error that ended a command. */
export function exitCodeOf(error: GruError): number {
  const { signal } = (error.cause ?? {}) as Partial<StopReason>;
  if (error.code === 'GRU_INTERRUPTED' && signal !== undefined) return STOP_SIGNALS[signal];
  return BY_CODE[error.code];
}
