/**
 * What a training run is made of: resolves the options, against a checkpoint when resuming, and puts
 * vocabulary, network, trainer and output directory together. Everything that can be wrong with a run is
 * found here, before the first update.
 */

import { updatesPerEpoch } from './batches.js';
import {
  CheckpointWriter,
  findResumePoint,
  type ResumePoint,
  readLastGood,
  readResumePoint,
} from './checkpoint.js';
import { CONFIG_KEYS, resolveConfig, type TrainingConfig } from './config.js';
import type { Corpus } from './corpus.js';
import { placeNetwork } from './device.js';
import { displayName } from './display.js';
import { GruError } from './errors.js';
import type { StartEvent } from './events.js';
import {
  type CorpusInfo,
  type ModelContent,
  type ModelMetadata,
  newMetadata,
  readModelFile,
  type TrainerRecord,
} from './model-file.js';
import type { Network } from './native.js';
import { OutputDirectory } from './output-directory.js';
import { isCheckpointDue, type Snapshot } from './position.js';
import { checkResumed, differs } from './resuming.js';
import { Trainer } from './trainer.js';
import { Vocabulary } from './vocabulary.js';

/**
 * What a run had read, and how much of it: what the `corpus` of {@link TrainOptions} is told when it is a function.
 * `sources` are what was read, as it was named, `reading` is how ({@link Reading}), `maxChars` the characters used at most.
 * A run that does not resume has none: the function is then told undefined.
 *
 * @example
 * ```ts
 * import { loadCorpus, type SavedSource, train } from 'gru-native';
 *
 * const maxChars = 2000;
 * const corpus = await loadCorpus('songs', { maxChars });
 * const run = train({ corpus, maxChars, epochs: 1, hiddenSize: 8, out: 'gru-model', overwrite: true });
 * for await (const event of run) if (event.type === 'checkpoint') console.log(event.epoch); // 1
 * run.dispose();
 *
 * const reload = (saved: SavedSource | undefined) =>
 *   loadCorpus(saved?.sources ?? 'songs', { maxChars: saved?.maxChars, ...saved?.reading });
 * const more = train({ corpus: reload, epochs: 2, out: 'gru-model', resume: true });
 * for await (const event of more) if (event.type === 'end') console.log(event.epochs); // 2
 * more.dispose();
 * ```
 */
export type SavedSource = Pick<TrainerRecord, 'sources' | 'reading'> & Pick<TrainingConfig, 'maxChars'>;

/**
 * What to train on, how, and where to keep it. Options left out have the values of {@link DEFAULT_CONFIG}.
 *
 * @example
 * ```ts
 * import { loadCorpus, type TrainOptions, train } from 'gru-native';
 *
 * const options: TrainOptions = {
 *   corpus: await loadCorpus('songs', { maxChars: 2000 }),
 *   epochs: 1,
 *   hiddenSize: 8,
 *   out: 'gru-model',
 *   overwrite: true,
 * };
 * const run = train(options);
 * for await (const event of run) if (event.type === 'checkpoint') console.log(event.path); // gru-model
 * run.dispose();
 * ```
 */
export interface TrainOptions extends Partial<TrainingConfig> {
  /** The text; or what loads it, which is told what the run to go on with had read. */
  corpus: Corpus | ((saved: SavedSource | undefined) => Promise<Corpus>);
  /** Directory for model, checkpoints and event log; nothing is saved without one. */
  out?: string;
  /** Replace a model that is already in `out`. */
  overwrite?: boolean;
  /** Go on from the checkpoint in `out`; of the options only those in {@link RESUMABLE} may change. */
  resume?: boolean;
  /** A model file whose parameters and vocabulary the run begins with. */
  initFrom?: string;
  /** Stops after the running update; a checkpoint is saved if there is an `out`. While a GPU is opened, at once. */
  signal?: AbortSignal;
  /** Told once when opening the GPU takes longer than a second. */
  onGpuWait?: () => void;
}

/** A run put together. */
export interface RunParts {
  config: TrainingConfig;
  /** What is kept of the corpus: its text is on the device as ids, and may be large. */
  corpus: CorpusInfo;
  /** What was read and how, remembered for resuming. */
  source: Pick<TrainerRecord, 'sources' | 'reading'>;
  content: Omit<ModelContent, 'parameters' | 'state' | 'metadata'>;
  network: Network;
  trainer: Trainer;
  writer: CheckpointWriter | undefined;
  /** What a resumed run goes back to if it diverges, where that is not the point it goes on from. */
  lastGood: Snapshot | undefined;
  start: StartEvent;
}

/**
 * Puts a run together.
 *
 * @throws GruError for anything that is wrong with options, corpus, device, checkpoint or output directory
 */
export async function prepareRun(options: TrainOptions): Promise<RunParts> {
  resolveConfig(givenConfig(options)); // what is out of range is said before anything is read
  if (!options.resume) return assemble(options);
  const out = outOf(options);
  if (options.initFrom !== undefined) {
    throw new GruError(
      'GRU_USAGE',
      'expected either resume or initFrom, received both',
      'Leave out one of them.',
    );
  }
  await findResumePoint(out);
  // Held before it is read: what is gone on from is then the last word of whoever wrote there before.
  const directory = await OutputDirectory.open(out);
  try {
    return await assemble(options, directory);
  } catch (thrown) {
    directory.release();
    throw thrown;
  }
}

/** @param held - the output directory, when resuming */
async function assemble(options: TrainOptions, held?: OutputDirectory): Promise<RunParts> {
  const { out, overwrite = false } = options;
  const given = givenConfig(options);
  const resumed = held === undefined ? undefined : await readResumePoint(held.path);
  const initial =
    resumed ?? (options.initFrom === undefined ? undefined : await readModelFile(options.initFrom));
  const corpus = await corpusOf(options, resumed);
  if (resumed !== undefined) checkResumed(resumed, given, corpus);
  if (initial !== undefined && given.hiddenSize !== undefined && given.hiddenSize !== initial.hiddenSize) {
    throw differs('the hidden size of the model to begin with', initial.hiddenSize, given.hiddenSize);
  }
  const config = resolveConfig({
    ...resumed?.metadata.config,
    ...given,
    ...(initial === undefined ? {} : { hiddenSize: initial.hiddenSize }),
  });
  const vocabulary = initial?.vocabulary ?? Vocabulary.fromText(corpus.text);
  const ids = vocabulary.encode(corpus.text, `corpus ${corpus.name}`);
  const updates = updatesPerEpoch(ids.length, config);
  const notices: string[] = [];
  if (corpus.characters < corpus.totalCharacters) {
    notices.push(
      `using the first ${corpus.characters} of ${corpus.totalCharacters} characters; --max-chars all uses all of them`,
    );
  }
  notices.push(...encodingNotices(corpus));
  if (
    given.prefixes === undefined &&
    resumed === undefined &&
    !config.prefixes.every((text) => vocabulary.covers(text))
  ) {
    config.prefixes = prefixesFrom(corpus.text);
    notices.push(
      `the default prefixes are not in this text; using ${config.prefixes.map(displayName).join(', ')} from it (--prefix sets others)`,
    );
  }
  for (const prefix of config.prefixes) vocabulary.encode(prefix, `the prefix ${displayName(prefix)}`);
  const position = resumed?.metadata.trainer.position;
  if (position !== undefined && position.lossSums.length >= updates) {
    throw new GruError(
      'GRU_MODEL',
      `expected a checkpoint of fewer than the ${updates} updates of an epoch, received ${position.lossSums.length}`,
      'The file is damaged; begin a new run with --overwrite.',
    );
  }
  const goesBack = config.onDivergence === 'rollback';
  const lastGood =
    resumed === undefined ||
    held === undefined ||
    !goesBack ||
    isCheckpointDue(config, resumed.metadata.trainer.position)
      ? undefined
      : await readLastGood(held.path, resumed);
  if (position !== undefined && position.epochs >= config.epochs) {
    notices.push(`${position.epochs} epochs are done already, and --epochs, the total, is ${config.epochs}`);
  }

  const content = {
    vocabulary,
    vocabSize: vocabulary.size,
    hiddenSize: config.hiddenSize,
    candidateBias: initial?.candidateBias ?? false,
  };
  const { vocabSize, hiddenSize, candidateBias } = content;
  const { batchSize, numSteps, threads } = config;
  const sizes = { vocabSize, hiddenSize, candidateBias, batchSize, numSteps, corpusLength: ids.length };
  const placed = await placeNetwork({
    options: { ...sizes, ...(threads === 'auto' ? {} : { threads }) },
    device: config.device,
    precision: config.precision,
    signal: options.signal,
    onGpuWait: options.onGpuWait,
    fill: async (network) => {
      await network.loadCorpus(ids);
      if (initial === undefined) await network.initialize(config.seed, config.initScale);
      else await network.setParameters(initial.parameters);
      if (resumed !== undefined) await network.setState(resumed.state);
    },
  });
  const { network } = placed;
  notices.push(...placed.notices);
  let directory = held;
  let writer: CheckpointWriter | undefined;
  try {
    if (out !== undefined) {
      directory ??= await OutputDirectory.open(out);
      const record = resumed?.metadata.trainer;
      writer = await CheckpointWriter.open(directory, { overwrite, keep: config.keep, resumed: record });
      if (!directory.guarded) notices.push(`${out} has no locks: let no other run write there meanwhile`);
    }
  } catch (thrown) {
    directory?.release();
    network.dispose();
    throw thrown;
  }
  const trainer = new Trainer({
    network,
    vocabulary,
    corpusLength: ids.length,
    config,
    ...(position === undefined ? {} : { position }),
  });
  const { name, characters, totalCharacters, sha256, sources, reading } = corpus;
  const source = { sources, reading };
  const start: StartEvent = {
    type: 'start',
    config,
    corpus: { name, characters, totalCharacters, vocabSize, sha256 },
    device: network.device,
    ...(network.cpuPath === null ? {} : { cpuPath: network.cpuPath }),
    ...(network.gpu === null ? {} : { gpu: network.gpu }),
    parameters: network.parameterCount,
    precision: config.precision,
    threads: network.threads,
    updatesPerEpoch: updates,
    epochsDone: trainer.position.epochs,
    notices,
  };
  const used = { name, characters, sha256 };
  return { config, corpus: used, source, content, network, trainer, writer, lastGood, start };
}

async function corpusOf({ corpus }: TrainOptions, resumed: ResumePoint | undefined): Promise<Corpus> {
  if (typeof corpus !== 'function') return corpus;
  if (resumed === undefined) return corpus(undefined);
  const { config, trainer } = resumed.metadata;
  return corpus({ sources: trainer.sources, reading: trainer.reading, maxChars: config.maxChars });
}

/** Says in which encodings the texts were, where it was not UTF-8 alone: `auto` may have been wrong. */
function encodingNotices({ encodings, reading }: Corpus): string[] {
  if (encodings.every((encoding) => encoding === 'utf-8')) return [];
  const found = encodings.map((encoding) => encoding.toUpperCase()).join(', ');
  return [`the text was read as ${found}${reading.encoding === 'auto' ? '; --encoding sets another' : ''}`];
}

/** What is saved with the model of a run as it is now. */
export function metadataOf({ config, corpus, content, trainer }: RunParts): ModelMetadata {
  const { device: _device, threads: _threads, ...saved } = config;
  const { epochs, perplexity } = trainer.position;
  return newMetadata({
    hiddenSize: content.hiddenSize,
    vocabulary: content.vocabulary.characters,
    corpus,
    config: saved,
    epochs,
    perplexity,
  });
}

/** The training options among all options, without those that were left undefined. */
function givenConfig(options: TrainOptions): Partial<TrainingConfig> {
  const given = CONFIG_KEYS.filter((key) => options[key] !== undefined).map((key) => [key, options[key]]);
  return Object.fromEntries(given) as Partial<TrainingConfig>;
}

function outOf({ out }: TrainOptions): string {
  if (out !== undefined) return out;
  throw new GruError(
    'GRU_USAGE',
    'expected an output directory to resume from, received none',
    'Name it with out.',
  );
}

/** The first two characters of three lines of a text whose lines have become words: beginning, third, two thirds. */
function prefixesFrom(text: string): string[] {
  const lines = text.split(' ').filter((line) => [...line.slice(0, 4)].length >= 2);
  if (lines.length === 0) return [[...text.slice(0, 4)].slice(0, 2).join('')];
  const chosen = [0, 1, 2].map((third) => lines[Math.floor((third * lines.length) / 3)] as string);
  return [...new Set(chosen.map((line) => [...line.slice(0, 4)].slice(0, 2).join('')))];
}
