/**
 * The one error type of the package and its stable codes. Owns nothing else: exit codes are the CLI's
 * (src/cli/exit.ts).
 */

/** Codes are stable: programs may switch on them. The prefix of each says what was wrong. */
export type ErrorCode =
  | 'GRU_USAGE' // an option or argument is wrong
  | 'GRU_OUTPUT_EXISTS' // the output directory already holds a model
  | 'GRU_CORPUS' // the corpus cannot be read, decoded or used
  | 'GRU_CORPUS_TOO_SHORT' // fewer characters than one update needs
  | 'GRU_CORPUS_DOWNLOAD' // a named corpus could not be fetched or failed its hash
  | 'GRU_MODEL' // a model or trainer file is missing, damaged or does not fit
  | 'GRU_VOCABULARY' // a character or vocabulary does not fit the model
  | 'GRU_DEVICE' // the device asked for is not available
  | 'GRU_ADDON' // the native addon cannot be loaded
  | 'GRU_DIVERGED' // a loss or gradient is not finite
  | 'GRU_INTERRUPTED' // stopped on request before the end
  | 'GRU_IO' // a file cannot be written
  | 'GRU_OUT_OF_MEMORY'
  | 'GRU_DISPOSED' // used after dispose()
  | 'GRU_INTERNAL'; // a bug in this package

/** What went wrong, and what to do about it. */
export class GruError extends Error {
  override readonly name = 'GruError';
  /** Stable code for programs. */
  readonly code: ErrorCode;
  /** One sentence that says what to do; empty when there is nothing to add. */
  readonly hint: string;

  /**
   * @param code - stable code
   * @param message - the cause in one line, with what was expected and what was received
   * @param hint - the remedy in one line
   */
  constructor(code: ErrorCode, message: string, hint = '', options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.hint = hint;
  }
}
