/**
 * What a model or trainer file says: its metadata, checked, around the tensors that the native side reads
 * (crates/gru-core/src/model_file.rs has the tensors' names and shapes).
 */

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { resolveConfig, type TrainingConfig } from './config.js';
import type { Reading } from './corpus.js';
import { GruError } from './errors.js';
import { native } from './native.js';
import { packageVersion } from './package-version.js';
import type { Position } from './trainer.js';
import { Vocabulary } from './vocabulary.js';

/** File names inside an output directory. */
export const MODEL_FILE = 'model.safetensors';
export const TRAINER_FILE = 'trainer.safetensors';

const FORMAT_VERSION = 1;
/** The variant of the GRU; a file of another is refused. */
const CELL = 'gru-reset-after';

/** The options that decide what is computed; where it is computed (device, threads) is not saved. */
export type SavedConfig = Omit<TrainingConfig, 'device' | 'threads'>;

/** The corpus a model was trained on. */
export interface CorpusInfo {
  name: string;
  /** Characters used. */
  characters: number;
  /** Of the text used. */
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

/** The JSON under `__metadata__["gru-native"]`. */
export interface ModelMetadata {
  formatVersion: number;
  cell: string;
  hiddenSize: number;
  vocabulary: readonly string[];
  corpus: CorpusInfo;
  config: SavedConfig;
  /** Epochs done. */
  epochs: number;
  /** Of the last epoch done. */
  perplexity: number | null;
  packageVersion: string;
  /** In trainer files only. */
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
  const bytes = await readBytes(file);
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

async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
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

function checkMetadata(json: string, file: string): ModelMetadata {
  let metadata: ModelMetadata;
  try {
    metadata = JSON.parse(json) as ModelMetadata;
  } catch (cause) {
    throw damaged(file, 'JSON metadata', (cause as Error).message);
  }
  const isRecord = (value: unknown): value is object => typeof value === 'object' && value !== null;
  if (!isRecord(metadata)) throw damaged(file, 'a JSON object as metadata', json.slice(0, 40));
  if (metadata.formatVersion !== FORMAT_VERSION) {
    throw new GruError(
      'GRU_MODEL',
      `expected format version ${FORMAT_VERSION} in ${file}, received ${JSON.stringify(metadata.formatVersion)}`,
      'The file was written by another version of gru-native: install that one, or a newer.',
    );
  }
  if (metadata.cell !== CELL) throw damaged(file, `the cell ${CELL}`, JSON.stringify(metadata.cell));
  if (!Array.isArray(metadata.vocabulary)) throw damaged(file, 'a vocabulary', typeof metadata.vocabulary);
  const { corpus, epochs, perplexity } = metadata;
  const { name, characters, sha256 } = isRecord(corpus) ? corpus : ({} as Partial<CorpusInfo>);
  if (typeof name !== 'string' || typeof characters !== 'number' || typeof sha256 !== 'string') {
    throw damaged(file, 'a corpus with name, characters and sha256', JSON.stringify(corpus));
  }
  if (!Number.isSafeInteger(epochs) || epochs < 0) {
    throw damaged(file, 'a number of epochs', JSON.stringify(epochs));
  }
  if (perplexity !== null && typeof perplexity !== 'number') {
    throw damaged(file, 'a perplexity', JSON.stringify(perplexity));
  }
  if (!isRecord(metadata.config)) throw damaged(file, 'a config', JSON.stringify(metadata.config));
  try {
    resolveConfig(metadata.config);
  } catch (cause) {
    throw damaged(file, 'a config with values in their ranges', (cause as Error).message);
  }
  return metadata;
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
    parsed = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new GruError(
      'GRU_VOCABULARY',
      `expected a vocabulary at ${path}, received ${(cause as Error).message}`,
      hint,
      { cause },
    );
  }
  if (!Array.isArray(parsed)) {
    throw new GruError('GRU_VOCABULARY', `expected an array in ${path}, received ${typeof parsed}`, hint);
  }
  return parsed as string[];
}
