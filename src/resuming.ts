/** What a resumed run must have in common with the one it goes on with, and what may be new. */

import type { ResumePoint } from './checkpoint.js';
import { CONFIG_KEYS, type TrainingConfig } from './config.js';
import type { Corpus } from './corpus.js';
import { GruError } from './errors.js';

/**
 * Options that a resumed run may be given anew: they change no number of what comes.
 *
 * @example
 * ```ts
 * import { RESUMABLE } from 'gru-native';
 *
 * console.log(RESUMABLE.includes('epochs'), RESUMABLE.includes('hiddenSize')); // true false
 * ```
 */
export const RESUMABLE: readonly (keyof TrainingConfig)[] = [
  'epochs',
  'reportEvery',
  'checkpointEvery',
  'keep',
  'onDivergence',
  'maxRollbacks',
  'sampleLength',
  'prefixes',
  'device',
  'threads',
];

/**
 * A run goes on only over the same text, by the same rules.
 *
 * @throws GruError GRU_CORPUS for another text, GRU_USAGE for an option that may not change
 */
export function checkResumed(
  { metadata }: ResumePoint,
  given: Partial<TrainingConfig>,
  corpus: Pick<Corpus, 'name' | 'characters' | 'sha256'>,
): void {
  if (metadata.corpus.sha256 !== corpus.sha256) {
    throw new GruError(
      'GRU_CORPUS',
      `expected the corpus of the checkpoint, ${metadata.corpus.name} (${metadata.corpus.characters} characters, SHA-256 ${metadata.corpus.sha256.slice(0, 12)}…), received ${corpus.name} (${corpus.characters} characters, ${corpus.sha256.slice(0, 12)}…)`,
      'To go on with another text, begin a new run from the weights: --init-from MODEL with another --out.',
    );
  }
  const saved = metadata.config as Partial<TrainingConfig>;
  for (const key of CONFIG_KEYS) {
    if (RESUMABLE.includes(key) || given[key] === undefined || given[key] === saved[key]) continue;
    throw differs(`the checkpoint's ${key}`, saved[key], given[key]);
  }
}

/** The error about an option that may not differ. */
export function differs(what: string, expected: unknown, received: unknown): GruError {
  return new GruError(
    'GRU_USAGE',
    `expected ${what}, ${String(expected)}, received ${String(received)}`,
    'Leave that option out, or begin a new run from the weights: --init-from MODEL with another --out.',
  );
}
