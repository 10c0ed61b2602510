/** How well a network predicts a text: one lane through all of it, in pieces, the state carried from each to the next. */

import { GruError, throwGruError } from './errors.js';
import { CancelFlag, type Network } from './native.js';
import { perplexity } from './perplexity.js';
import { readText } from './reading.js';
import type { UnknownPolicy, UnknownReport } from './unknown.js';
import type { Vocabulary } from './vocabulary.js';

/**
 * How well a model predicts a text, as {@link LanguageModel.evaluate} finds.
 *
 * @example
 * ```ts
 * import { type Evaluation, loadCorpus, train } from 'gru-native';
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'end') console.log(event.perplexity);
 * const model = await run.model();
 * const evaluation: Evaluation = await model.evaluate(corpus.text);
 * const natsACharacter = evaluation.lossSum / evaluation.tokens;
 * console.log(natsACharacter);
 * model.dispose();
 * run.dispose();
 * ```
 */
export interface Evaluation {
  /** Of the predictions alone: characters left out count neither as predicted nor as wrong. */
  perplexity: number;
  /** Cross-entropy in nats, summed. */
  lossSum: number;
  /** Number of predictions: one less than characters read. */
  tokens: number;
  /** Unknown characters left out of the text; the text has `tokens + 1 + skipped`. */
  skipped: number;
  /** Unknown characters for which others were read. */
  replaced: number;
}

/**
 * How far an evaluation is.
 *
 * @example
 * ```ts
 * import { type EvaluationProgress, loadCorpus, train } from 'gru-native';
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'end') console.log(event.perplexity);
 * const model = await run.model();
 * const onProgress = ({ tokens, totalTokens }: EvaluationProgress) => console.log(`${tokens} of ${totalTokens}`);
 * await model.evaluate(corpus.text, { onProgress });
 * model.dispose();
 * run.dispose();
 * ```
 */
export interface EvaluationProgress {
  /** Predictions done. */
  tokens: number;
  /** Predictions in all. */
  totalTokens: number;
  /** Cross-entropy of those done, in nats, summed. */
  lossSum: number;
}

/**
 * How a text is evaluated.
 *
 * @example
 * ```ts
 * import { type EvaluateOptions, loadCorpus, train } from 'gru-native';
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'end') console.log(event.perplexity);
 * const model = await run.model();
 * const options: EvaluateOptions = { unknown: 'skip', signal: AbortSignal.timeout(10_000) };
 * console.log((await model.evaluate(`${corpus.text}😀`, options)).skipped); // 1
 * model.dispose();
 * run.dispose();
 * ```
 */
export interface EvaluateOptions {
  /** Stops after the steps that are running. */
  signal?: AbortSignal | undefined;
  /** Told after every piece, the last one too; what it throws ends the evaluation. */
  onProgress?: ((progress: EvaluationProgress) => void) | undefined;
  /** What is done about characters that the model does not know; an error if not given. */
  unknown?: UnknownPolicy | undefined;
  /** Told once, before the first step, what was done where the text has unknown characters. */
  onUnknown?: ((report: UnknownReport) => void) | undefined;
}

/** Steps that the network takes at once: the most of an update. */
export const EVALUATION_STEPS = 256;
/** Predictions of a piece: what the network holds of the text, and what passes between two reports. */
const PIECE = 64 * EVALUATION_STEPS;

/**
 * Perplexity of a text: from the zero state, every character but the first predicted, the state never reset. The
 * text's ids take 4 bytes a character here; the network holds one piece of them, and its carried state moves on.
 *
 * Unknown characters that are left out are left out before all else: the characters around them follow each other, and
 * what is predicted, and counted, is the text without them.
 *
 * @param network - one lane of at least {@link EVALUATION_STEPS} steps, its parameters set
 * @throws GruError GRU_VOCABULARY for characters that the model does not know, or where too few are left without
 * them, GRU_CORPUS_TOO_SHORT, both before any work is done; GRU_USAGE; GRU_DIVERGED when a loss is not finite; GRU_INTERRUPTED, its cause the signal's reason, when the signal fired
 */
export async function evaluateText(
  network: Network,
  vocabulary: Vocabulary,
  text: string,
  { signal, onProgress, unknown, onUnknown }: EvaluateOptions = {},
): Promise<Evaluation> {
  const { ids, report } = await readText(vocabulary, text, 'the text', unknown);
  const { skipped, replaced, characters } = report;
  if (ids.length < 2 && skipped > 0) throw tooLittleKnown(ids.length, characters);
  if (ids.length < 2) {
    throw new GruError(
      'GRU_CORPUS_TOO_SHORT',
      `expected a text of at least 2 characters to evaluate, received ${ids.length}`,
      'A prediction needs a character before it.',
    );
  }
  if (report.unknown.length > 0) onUnknown?.(report);
  const totalTokens = ids.length - 1;
  const cancel = new CancelFlag();
  const onAbort = () => cancel.cancel();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await network.setState(new Float32Array(network.hiddenSize)).catch(throwGruError);
    let lossSum = 0;
    let tokens = 0;
    while (tokens < totalTokens) {
      if (signal?.aborted) cancel.cancel();
      const left = totalTokens - tokens;
      const numSteps = Math.min(EVALUATION_STEPS, left);
      const updates = Math.min(PIECE / EVALUATION_STEPS, Math.floor(left / numSteps));
      const length = updates * numSteps;
      await network.loadCorpus(ids.subarray(tokens, tokens + length + 1)).catch(throwGruError);
      const starts = Int32Array.from({ length: updates }, (_, update) => update * numSteps);
      const plan = { starts, numSteps, learningRate: new Float32Array(), maxGradNorm: 1, carryState: true };
      const result = await network.evaluate(plan, cancel).catch(throwGruError);
      for (const loss of result.lossSum) lossSum += loss;
      tokens += result.updates * numSteps;
      if (result.stopped === 'non-finite') throw notFinite(tokens);
      if (result.stopped === 'cancelled') throw interrupted(signal?.reason, tokens, totalTokens);
      onProgress?.({ tokens, totalTokens, lossSum });
    }
    return { perplexity: perplexity(lossSum, totalTokens), lossSum, tokens: totalTokens, skipped, replaced };
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

function tooLittleKnown(known: number, characters: number): GruError {
  return new GruError(
    'GRU_VOCABULARY',
    `expected at least 2 characters that the model knows to evaluate, received ${known} of ${characters}`,
    'The model can only read characters of the text it was trained on; is it the right one?',
  );
}

function notFinite(tokens: number): GruError {
  return new GruError(
    'GRU_DIVERGED',
    `expected a finite loss, received one that is not in the ${EVALUATION_STEPS} predictions after the first ${tokens}`,
    "The model's parameters are too large to be of use; train it again, with a lower learning rate.",
  );
}

function interrupted(reason: unknown, tokens: number, totalTokens: number): GruError {
  return new GruError(
    'GRU_INTERRUPTED',
    `stopped on request after ${tokens} of ${totalTokens} predictions`,
    'Nothing is kept of an evaluation that was stopped; begin it again.',
    { cause: reason },
  );
}
