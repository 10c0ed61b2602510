/**
 * The one error type of the package and its stable codes. Owns nothing else: exit codes are the CLI's
 * (src/cli/exit.ts).
 */

import { visible } from './display.js';

/**
 * Stable codes: programs may switch on them.
 *
 * - `GRU_USAGE`: an option or argument is wrong
 * - `GRU_OUTPUT_EXISTS`: the output directory already holds a model
 * - `GRU_OUTPUT_BUSY`: another run writes to the output directory
 * - `GRU_CORPUS`: the corpus cannot be read, decoded or used
 * - `GRU_CORPUS_TOO_SHORT`: fewer characters than one update needs
 * - `GRU_CORPUS_DOWNLOAD`: a named corpus could not be fetched or failed its hash
 * - `GRU_MODEL`: a model or trainer file is missing, damaged or does not fit
 * - `GRU_VOCABULARY`: a character or vocabulary does not fit the model
 * - `GRU_DEVICE`: the device asked for is not available
 * - `GRU_DEVICE_FAULT`: the device failed while it computed
 * - `GRU_ADDON`: the native addon cannot be loaded
 * - `GRU_DIVERGED`: a loss or gradient is not finite, or the loss stays above that of guessing
 * - `GRU_INTERRUPTED`: stopped on request before the end
 * - `GRU_IO`: a file cannot be written
 * - `GRU_OUT_OF_MEMORY`: there is not enough memory, of the machine or of the GPU
 * - `GRU_DISPOSED`: used after `dispose()`
 * - `GRU_INTERNAL`: a bug in this package
 *
 * @example
 * ```ts
 * import { type ErrorCode, GruError, loadCorpus } from 'gru-native';
 *
 * const ofCorpora: readonly ErrorCode[] = ['GRU_CORPUS', 'GRU_CORPUS_TOO_SHORT', 'GRU_CORPUS_DOWNLOAD'];
 * await loadCorpus('no-such-file.txt').catch((error: unknown) => {
 *   if (!(error instanceof GruError) || !ofCorpora.includes(error.code)) throw error;
 *   console.log(error.code); // GRU_CORPUS
 * });
 * ```
 */
export type ErrorCode =
  | 'GRU_USAGE'
  | 'GRU_OUTPUT_EXISTS'
  | 'GRU_OUTPUT_BUSY'
  | 'GRU_CORPUS'
  | 'GRU_CORPUS_TOO_SHORT'
  | 'GRU_CORPUS_DOWNLOAD'
  | 'GRU_MODEL'
  | 'GRU_VOCABULARY'
  | 'GRU_DEVICE'
  | 'GRU_DEVICE_FAULT'
  | 'GRU_ADDON'
  | 'GRU_DIVERGED'
  | 'GRU_INTERRUPTED'
  | 'GRU_IO'
  | 'GRU_OUT_OF_MEMORY'
  | 'GRU_DISPOSED'
  | 'GRU_INTERNAL';

/** Most UTF-16 units of a message or hint. */
const LONGEST_LINE = 2000;

/**
 * What went wrong, and what to do about it. The package throws and rejects with this alone, but for two things: the reason
 * of an AbortSignal that ends the writing of a text, and the plain errors, with the same codes, of {@link Network},
 * {@link Generation} and {@link CancelFlag}.
 *
 * @example
 * ```ts
 * import { corpusFromText, GruError } from 'gru-native';
 *
 * try {
 *   corpusFromText('');
 * } catch (error) {
 *   if (!(error instanceof GruError)) throw error;
 *   console.log(error.code); // GRU_CORPUS
 *   // Both are for people, and may change with any version.
 *   console.log(error.message);
 *   console.log(error.hint);
 * }
 * ```
 */
export class GruError extends Error {
  override readonly name = 'GruError';
  /** Stable code for programs. */
  readonly code: ErrorCode;
  /** One sentence that says what to do; empty when there is nothing to add. */
  readonly hint: string;

  /**
   * @param code - stable code
   * @param message - the cause in one line, with what was expected and what was received; what is not visible in
   * it, such as in the name of a file, is escaped, and it is cut where it is very long
   * @param hint - the remedy in one line, likewise
   */
  constructor(code: ErrorCode, message: string, hint = '', options?: { cause?: unknown }) {
    super(oneLine(message), options);
    this.code = code;
    this.hint = oneLine(hint);
  }
}

function oneLine(text: string): string {
  const cut = text.length > LONGEST_LINE ? `${text.slice(0, LONGEST_LINE)}…` : text;
  return visible(cut);
}

/** What to do about errors of the native side. */
const HINTS: Partial<Record<ErrorCode, string>> = {
  GRU_OUT_OF_MEMORY: 'Use a smaller hidden size, batch size or number of steps.',
  GRU_USAGE: 'Check that option; gru-native COMMAND --help lists them.',
  GRU_DEVICE: 'gru-native doctor shows what is missing.',
  GRU_DEVICE_FAULT: 'Start again; gru-native doctor shows whether the GPU still works.',
  GRU_INTERNAL:
    'This is a bug in gru-native; please report it with the output of gru-native doctor and of --verbose.',
};

/**
 * Whatever was thrown as a GruError: the native side throws plain errors that carry one of our codes and, where
 * it knows what to do, say so on a second line; anything without a code is a bug.
 */
export function toGruError(thrown: unknown): GruError {
  if (thrown instanceof GruError) return thrown;
  const { code, message } =
    thrown instanceof Error
      ? (thrown as NodeJS.ErrnoException)
      : { code: undefined, message: String(thrown) };
  const cause = { cause: thrown };
  if (code?.startsWith('GRU_')) {
    const [said, hint = HINTS[code as ErrorCode]] = message.split('\n', 2) as [string, string?];
    return new GruError(code as ErrorCode, said, hint, cause);
  }
  return new GruError('GRU_INTERNAL', message, HINTS.GRU_INTERNAL, cause);
}

/** For the `catch` of a promise of the native side's: throws what it was rejected with as a GruError. */
export function throwGruError(thrown: unknown): never {
  throw toGruError(thrown);
}
