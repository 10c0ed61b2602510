/** A trained model: parameters, vocabulary and what is known of their origin; loads, saves, writes, evaluates. */

import { writeFile } from 'node:fs/promises';
import { writeAtomically } from './atomic-file.js';
import { DEFAULT_CONFIG, type DeviceName } from './config.js';
import { placeNetwork } from './device.js';
import { GruError, toGruError } from './errors.js';
import { EVALUATION_STEPS, type EvaluateOptions, type Evaluation, evaluateText } from './evaluation.js';
import {
  type GenerateAllOptions,
  type GenerateOptions,
  generate,
  generateTexts,
  writePieces,
} from './generator.js';
import { encodeFile, type ModelContent, type ModelMetadata, readModelFile } from './model-file.js';
import type { Network } from './native.js';
import type { Vocabulary } from './vocabulary.js';

/** What to do where a model does not fit. */
const TOO_SMALL = 'End other programs that use the memory; --device cpu does without that of a GPU.';

/**
 * Where and how a model is loaded.
 *
 * @example
 * ```ts
 * import { LanguageModel, loadCorpus, type LoadOptions, train } from 'gru-native';
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8, out: 'gru-model', overwrite: true });
 * for await (const event of run) if (event.type === 'checkpoint') console.log(event.path);
 * const options: LoadOptions = { device: 'cpu', threads: 1 };
 * const model = await LanguageModel.load('gru-model', options);
 * console.log(model.hiddenSize); // 8
 * model.dispose();
 * run.dispose();
 * ```
 */
export interface LoadOptions {
  /**
   * `auto` if not given, which for a model is the CPU: one lane fed character by character gains nothing from
   * a GPU, and starting one takes longer than a text.
   */
  device?: DeviceName | undefined;
  /** Threads of the CPU backend; as many as the machine offers if not given. */
  threads?: number | undefined;
  /** Path of a JSON array of characters in id order, for a file that holds none. */
  vocabulary?: string | undefined;
  /** Ends the opening of a GPU, with GRU_INTERRUPTED. */
  signal?: AbortSignal | undefined;
  /** Told once when opening a GPU takes longer than a second. */
  onGpuWait?: (() => void) | undefined;
}

/**
 * A model that can write and evaluate text. Dispose of it to free its memory early.
 *
 * @example
 * ```ts
 * import { LanguageModel, loadCorpus, train } from 'gru-native';
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8, out: 'gru-model', overwrite: true });
 * for await (const event of run) if (event.type === 'checkpoint') console.log(event.path);
 * const model = await LanguageModel.load('gru-model');
 * const prefix = corpus.text.slice(0, 2);
 * console.log(await model.generate(prefix, { length: 20 }));
 * for await (const character of model.stream(prefix, { length: 20, temperature: 0.8 })) process.stdout.write(character);
 * console.log((await model.evaluate(corpus.text)).perplexity);
 * model.dispose();
 * run.dispose();
 * ```
 */
export class LanguageModel {
  /** The characters that it knows. */
  readonly vocabulary: Vocabulary;
  /** Origin of the model; undefined for a file made by another program. */
  readonly metadata: ModelMetadata | undefined;
  readonly #content: ModelContent;
  readonly #network: Network;
  /** The last evaluation asked for: the network carries the state of one at a time. */
  #evaluated: Promise<unknown> = Promise.resolve();

  private constructor(content: ModelContent, network: Network) {
    this.#content = content;
    this.#network = network;
    this.vocabulary = content.vocabulary;
    this.metadata = content.metadata;
  }

  /**
   * Loads `model.safetensors`, or the one inside a directory.
   *
   * @throws GruError GRU_MODEL, GRU_VOCABULARY, GRU_DEVICE, GRU_OUT_OF_MEMORY, GRU_INTERRUPTED when the signal fired
   */
  static async load(path: string, options: LoadOptions = {}): Promise<LanguageModel> {
    return LanguageModel.fromContent(await readModelFile(path, options.vocabulary), options);
  }

  /**
   * A model from what a file holds.
   *
   * @internal
   */
  static async fromContent(content: ModelContent, options: LoadOptions = {}): Promise<LanguageModel> {
    const { vocabSize, hiddenSize, candidateBias, parameters } = content;
    const { device = 'auto', threads, signal, onGpuWait } = options;
    const { network } = await placeNetwork({
      options: {
        vocabSize,
        hiddenSize,
        batchSize: 1,
        numSteps: EVALUATION_STEPS,
        candidateBias,
        ...(threads === undefined ? {} : { threads }),
      },
      device: device === 'auto' ? 'cpu' : device,
      precision: DEFAULT_CONFIG.precision,
      signal,
      onGpuWait,
      fill: (empty) => empty.setParameters(parameters),
    }).catch((thrown) => {
      // The sizes are the model's own: there is no option that would make it fit.
      const { code, message } = toGruError(thrown);
      if (code !== 'GRU_OUT_OF_MEMORY') throw toGruError(thrown);
      throw new GruError(code, message, TOO_SMALL, { cause: thrown });
    });
    return new LanguageModel(content, network);
  }

  /** Number of characters it knows. */
  get vocabSize(): number {
    return this.vocabulary.size;
  }

  /** Number of hidden units. */
  get hiddenSize(): number {
    return this.#content.hiddenSize;
  }

  /** Number of parameters. */
  get parameterCount(): number {
    return this.#content.parameters.length;
  }

  /**
   * Writes a text: the prefix, as it was read, and what follows it.
   *
   * @throws GruError GRU_VOCABULARY, GRU_USAGE
   */
  async generate(prefix: string, options: GenerateOptions = {}): Promise<string> {
    const [text] = await generateTexts(this.#network, this.vocabulary, [prefix], { ...options, count: 1 });
    return text as string;
  }

  /** Writes a text character by character, without the prefix; `onUnknown` tells how that was read. */
  stream(prefix: string, options: GenerateOptions = {}): AsyncGenerator<string, void, void> {
    return generate(this.#network, this.vocabulary, prefix, options);
  }

  /**
   * Writes several texts side by side, 1024 at most: for each prefix `count` of them, with the seeds `seed`,
   * `seed + 1` and so on. Each is what `generate` writes for its prefix and seed, but together they take far less time
   * than one after the other.
   *
   * @throws GruError GRU_VOCABULARY, GRU_USAGE
   */
  generateAll(prefixes: readonly string[], options: GenerateAllOptions = {}): Promise<string[]> {
    return generateTexts(this.#network, this.vocabulary, prefixes, options);
  }

  /**
   * The same as they are written, without the prefixes: yields what came to each text, one string a text in the order
   * of `generateAll`.
   */
  streamAll(
    prefixes: readonly string[],
    options: GenerateAllOptions = {},
  ): AsyncGenerator<string[], void, void> {
    return writePieces(this.#network, this.vocabulary, prefixes, options);
  }

  /**
   * Perplexity of a text under the model: one lane from the zero state, every character but the first predicted,
   * the state never reset. Memory: 4 bytes a character beside the text. Calls wait for each other.
   *
   * @throws GruError GRU_VOCABULARY for characters that the model does not know, unless `unknown` says what to do about
   * them, or where too few are left without them; GRU_CORPUS_TOO_SHORT, GRU_USAGE, GRU_DIVERGED when a loss is not finite, GRU_INTERRUPTED when the signal fired
   */
  evaluate(text: string, options: EvaluateOptions = {}): Promise<Evaluation> {
    const evaluation = this.#evaluated.then(() =>
      evaluateText(this.#network, this.vocabulary, text, options),
    );
    this.#evaluated = evaluation.catch(() => {});
    return evaluation;
  }

  /**
   * Writes a model file, whole or not at all.
   *
   * @throws GruError GRU_IO; GRU_MODEL when the model came from another program's file
   */
  async save(path: string): Promise<void> {
    if (this.metadata === undefined) {
      throw new GruError(
        'GRU_MODEL',
        'expected a model trained by gru-native, received one loaded from another program',
        'Its file can be copied as it is.',
      );
    }
    const bytes = encodeFile(this.#content, this.metadata);
    await writeAtomically(path, (temporary) => writeFile(temporary, bytes, { flag: 'wx' }));
  }

  /** Frees the network. Idempotent. */
  dispose(): void {
    this.#network.dispose();
  }

  /** Frees the network, at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }
}
