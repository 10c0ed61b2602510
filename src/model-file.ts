/**
 * What a model or trainer file says: its metadata, checked, around the tensors that the native side reads
 * (crates/gru-core/src/model_file.rs has the tensors' names and shapes).
 */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { resolveConfig, type TrainingConfig } from './config.js';
import type { Reading } from './corpus.js';
import { quote } from './display.js';
import { ENCODINGS, type Encoding } from './encoding.js';
import { GruError } from './errors.js';
import { native } from './native.js';
import { packageVersion } from './package-version.js';
import type { Position } from './position.js';
import { readRegularFile } from './regular-file.js';
import { Vocabulary } from './vocabulary.js';

/** File names inside an output directory. */
export const MODEL_FILE = 'model.safetensors';
export const TRAINER_FILE = 'trainer.safetensors';

const FORMAT_VERSION = 1;
/** The variant of the GRU; a file of another is refused. */
const CELL = 'gru-reset-after';
/** The longest header that is read, in bytes: the native side's limit. */
const MAX_HEADER_BYTES = 100_000_000n;
/** Lists, objects and keys of a JSON text that is read, each some 100 bytes of memory; training writes some 60. */
const MAX_STRUCTURE = 100_000;

/**
 * The options that decide what is computed; where it is computed (device, threads) is not saved.
 *
 * @example
 * ```ts
 * import { loadCorpus, type SavedConfig, train } from 'gru-native';
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'end') console.log(event.perplexity);
 * const model = await run.model();
 * const config: SavedConfig | undefined = model.metadata?.config;
 * console.log(config?.hiddenSize); // 8
 * model.dispose();
 * run.dispose();
 * ```
 */
export type SavedConfig = Omit<TrainingConfig, 'device' | 'threads'>;

/**
 * The corpus a model was trained on.
 *
 * @example
 * ```ts
 * import { type CorpusInfo, loadCorpus, train } from 'gru-native';
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'end') console.log(event.perplexity);
 * const model = await run.model();
 * const info: CorpusInfo | undefined = model.metadata?.corpus;
 * console.log(info?.name); // songs
 * model.dispose();
 * run.dispose();
 * ```
 */
export interface CorpusInfo {
  /** Its name. */
  name: string;
  /** Characters used. */
  characters: number;
  /** Hex SHA-256 of the text used, as UTF-8. */
  sha256: string;
}

/** What resuming needs beside parameters and state. */
export interface TrainerRecord {
  /** The corpus as the user named it; nothing for a text in memory. */
  sources: readonly string[];
  /** How it was read. */
  reading: Reading;
  position: Readonly<Position>;
  /** Length of the event log at the checkpoint, in bytes. */
  eventLogBytes: number;
}

/**
 * The JSON under `__metadata__["gru-native"]` of a model file: where the model comes from.
 *
 * @example
 * ```ts
 * import { loadCorpus, type ModelMetadata, train } from 'gru-native';
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'end') console.log(event.perplexity);
 * const model = await run.model();
 * const metadata: ModelMetadata | undefined = model.metadata;
 * console.log(metadata?.epochs, metadata?.formatVersion); // 1 1
 * model.dispose();
 * run.dispose();
 * ```
 */
export interface ModelMetadata {
  /** Version of the format; a file of another one is refused. */
  formatVersion: number;
  /** The variant of the GRU. */
  cell: string;
  /** Hidden units. */
  hiddenSize: number;
  /** Characters in id order. */
  vocabulary: readonly string[];
  /** What it was trained on. */
  corpus: CorpusInfo;
  /** How it was trained. */
  config: SavedConfig;
  /** Epochs done. */
  epochs: number;
  /** Of the last epoch done; null when none was trained. */
  perplexity: number | null;
  /** The version of the package that wrote the file. */
  packageVersion: string;
  /** What resuming needs, in trainer files only; it may change with any version. */
  trainer?: TrainerRecord;
}

/** A file's content. */
export interface ModelContent {
  vocabulary: Vocabulary;
  vocabSize: number;
  hiddenSize: number;
  candidateBias: boolean;
  /** All parameters, in the network's flat order. */
  parameters: Float32Array;
  /** Carried hidden state, in trainer files. */
  state: Float32Array | undefined;
  /** Absent in files made by another program. */
  metadata: ModelMetadata | undefined;
}

/** Metadata as this version of the package writes it. */
export function newMetadata(
  facts: Omit<ModelMetadata, 'formatVersion' | 'cell' | 'packageVersion'>,
): ModelMetadata {
  return { formatVersion: FORMAT_VERSION, cell: CELL, packageVersion: packageVersion(), ...facts };
}

/** The bytes of a model file; with a state, of a trainer file. Equal contents give equal bytes. */
export function encodeFile(
  content: Pick<ModelContent, 'vocabSize' | 'hiddenSize' | 'candidateBias' | 'parameters'>,
  metadata: ModelMetadata,
  state?: Float32Array,
): Uint8Array {
  const { vocabSize, hiddenSize, candidateBias, parameters } = content;
  const json = JSON.stringify(metadata);
  const tensors = { vocabSize, hiddenSize, candidateBias, parameters, metadata: json };
  return native.encodeModel(state === undefined ? tensors : { ...tensors, state });
}

/**
 * Reads a model: a file, or a directory that holds `model.safetensors`.
 *
 * @param vocabularyPath - JSON array of characters in id order, for files that have none inside
 * @throws GruError GRU_MODEL, GRU_VOCABULARY
 */
export async function readModelFile(path: string, vocabularyPath?: string): Promise<ModelContent> {
  const file = await locate(path);
  return modelContent(await readBytes(file), file, vocabularyPath);
}

/** What the bytes of a model or trainer file hold; as {@link readModelFile}. */
export async function modelContent(
  bytes: Uint8Array,
  file: string,
  vocabularyPath?: string,
): Promise<ModelContent> {
  const { metadata: json, ...tensors } = decode(bytes, file);
  const metadata = json === '' ? undefined : checkMetadata(json, file);
  const characters =
    vocabularyPath === undefined ? metadata?.vocabulary : await readVocabulary(vocabularyPath);
  if (characters === undefined) {
    throw new GruError(
      'GRU_VOCABULARY',
      `expected a vocabulary in ${file}, received a file made by another program, without one`,
      'Name its characters with --vocabulary FILE, a JSON array in id order.',
    );
  }
  const vocabulary = new Vocabulary(characters);
  if (vocabulary.size !== tensors.vocabSize) {
    throw new GruError(
      'GRU_VOCABULARY',
      `expected ${tensors.vocabSize} characters for the tensors of ${file}, received ${vocabulary.size}`,
      'The vocabulary and the model do not belong together.',
    );
  }
  if (metadata !== undefined && metadata.hiddenSize !== tensors.hiddenSize) {
    throw damaged(file, `hidden size ${tensors.hiddenSize}`, `${metadata.hiddenSize} in its metadata`);
  }
  return { ...tensors, state: tensors.state ?? undefined, vocabulary, metadata };
}

/** Resolves a directory to the model file inside. */
async function locate(path: string): Promise<string> {
  try {
    return (await stat(path)).isDirectory() ? join(path, MODEL_FILE) : path;
  } catch (cause) {
    throw missing(path, cause);
  }
}

/** A file's bytes; of one whose first 8 say that it is no model file, no more than these. */
async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return await readRegularFile(file, (head, size) => {
      const header = head.length < 8 ? 0n : head.readBigUInt64LE();
      return header > 0n && header <= MAX_HEADER_BYTES && header + 8n <= size;
    });
  } catch (cause) {
    throw missing(file, cause);
  }
}

function missing(path: string, cause: unknown): GruError {
  return new GruError(
    'GRU_MODEL',
    `expected a model at ${path}, received ${(cause as Error).message}`,
    'Name a model file or a directory made by gru-native train.',
    { cause },
  );
}

function decode(bytes: Uint8Array, file: string) {
  try {
    return native.decodeModel(bytes);
  } catch (cause) {
    throw new GruError(
      'GRU_MODEL',
      `${file}: ${(cause as Error).message}`,
      'The file is damaged or not a model of this kind; use another copy or checkpoint.',
      { cause },
    );
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/**
 * The metadata in a file's JSON: every field checked, none beside those of {@link ModelMetadata}.
 *
 * @param file - what messages call it
 * @throws GruError GRU_MODEL
 */
export function checkMetadata(json: string, file: string): ModelMetadata {
  let metadata: unknown;
  try {
    metadata = parseJson(json);
  } catch (cause) {
    throw damaged(file, 'JSON metadata', (cause as Error).message);
  }
  if (!isRecord(metadata)) throw damaged(file, 'a JSON object as metadata', quote(metadata));
  const { formatVersion, cell, packageVersion, hiddenSize, vocabulary, epochs, perplexity } = metadata;
  if (formatVersion !== FORMAT_VERSION) {
    throw new GruError(
      'GRU_MODEL',
      `expected format version ${FORMAT_VERSION} in ${file}, received ${quote(formatVersion)}`,
      'The file was written by another version of gru-native: install that one, or a newer.',
    );
  }
  const check = (holds: boolean, expected: string, received: unknown) => {
    if (!holds) throw damaged(file, expected, quote(received));
  };
  check(cell === CELL, `the cell ${CELL}`, cell);
  check(typeof packageVersion === 'string', 'a package version', packageVersion);
  check(isCount(hiddenSize), 'a hidden size', hiddenSize);
  check(Array.isArray(vocabulary), 'a vocabulary', vocabulary);
  const corpus = isRecord(metadata.corpus) ? metadata.corpus : {};
  const { name, characters, sha256 } = corpus;
  const isHash = typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256);
  const isCorpus = typeof name === 'string' && isCount(characters) && isHash;
  check(isCorpus, 'a corpus with name, characters and sha256', metadata.corpus);
  check(isCount(epochs), 'a number of epochs', epochs);
  check(
    perplexity === null || (Number.isFinite(perplexity) && (perplexity as number) > 0),
    'a perplexity',
    perplexity,
  );
  check(isRecord(metadata.config), 'a config', metadata.config);
  const { trainer } = metadata;
  if (trainer !== undefined) check(isTrainerRecord(trainer), 'the record of a training run', trainer);
  return {
    ...{ formatVersion, cell: CELL, packageVersion, hiddenSize, vocabulary },
    corpus: { name, characters, sha256 },
    config: checkConfig(metadata.config as object, file),
    ...{ epochs, perplexity },
    ...(trainer === undefined ? {} : { trainer }),
  } as ModelMetadata;
}

/** Parses JSON that has no more structure than a model's: what V8 makes of a list is far larger than its text. */
function parseJson(json: string): unknown {
  let count = 0;
  for (const mark of '[{:') {
    for (let at = json.indexOf(mark); at >= 0; at = json.indexOf(mark, at + 1)) count++;
  }
  if (count > MAX_STRUCTURE) throw new Error(`${count} lists, objects and keys`);
  return JSON.parse(json);
}

function checkConfig(config: object, file: string): SavedConfig {
  try {
    const { device: _device, threads: _threads, ...saved } = resolveConfig(config);
    return saved;
  } catch (cause) {
    throw damaged(file, 'a config with values in their ranges', (cause as Error).message);
  }
}

/** Whether a record from a file has the form it must have. */
function isTrainerRecord(record: unknown): record is TrainerRecord {
  if (!isRecord(record) || !isRecord(record.position) || !isRecord(record.reading)) return false;
  const { sources, reading, eventLogBytes } = record;
  const areNamed = Array.isArray(sources) && sources.every((name) => typeof name === 'string' && name !== '');
  const { encoding, nfc } = reading;
  const isReading = ENCODINGS.includes(encoding as Encoding) && typeof nfc === 'boolean';
  if (!areNamed || !isReading || !isCount(eventLogBytes)) return false;
  const { epochs, lossSums, gradientNorms, epochSeconds, perplexity, seconds } = record.position;
  const { best, highEpochs, rollbacks } = record.position;
  return (
    [epochs, highEpochs, rollbacks].every(isCount) &&
    (best === null || (isRecord(best) && isCount(best.epoch) && Number.isFinite(best.perplexity))) &&
    Array.isArray(lossSums) &&
    Array.isArray(gradientNorms) &&
    lossSums.length === gradientNorms.length &&
    [...lossSums, ...gradientNorms, epochSeconds, seconds].every(Number.isFinite) &&
    (perplexity === null || Number.isFinite(perplexity))
  );
}

function damaged(file: string, expected: string, received: string): GruError {
  return new GruError(
    'GRU_MODEL',
    `expected ${expected} in ${file}, received ${received}`,
    'The file is damaged or not a model of this kind; use another copy or checkpoint.',
  );
}

async function readVocabulary(path: string): Promise<string[]> {
  const hint = 'A vocabulary is a JSON array of characters in id order.';
  let parsed: unknown;
  try {
    parsed = parseJson((await readRegularFile(path)).toString('utf8'));
  } catch (cause) {
    throw new GruError(
      'GRU_VOCABULARY',
      `expected a vocabulary at ${path}, received ${(cause as Error).message}`,
      hint,
      { cause },
    );
  }
  if (!Array.isArray(parsed)) {
    throw new GruError('GRU_VOCABULARY', `expected an array in ${path}, received ${quote(parsed)}`, hint);
  }
  return parsed as string[];
}
