/**
 * What a training run is made of: every option, its default, its range and its meaning. The only place where
 * a default is written; the command line's help reads it from here.
 */

import { quote } from './display.js';
import { GruError } from './errors.js';

/**
 * Order of the batches, as in the book chapter.
 *
 * @example
 * ```ts
 * import { loadCorpus, type Sampling, train } from 'gru-native';
 *
 * const sampling: Sampling = 'random';
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8, sampling });
 * for await (const event of run) if (event.type === 'end') console.log(event.perplexity);
 * run.dispose();
 * ```
 */
export type Sampling = 'adjacent' | 'random';
/**
 * When the carried hidden state is zeroed; `auto` is `epoch` for adjacent and `batch` for random sampling.
 *
 * @example
 * ```ts
 * import { loadCorpus, type StateReset, train } from 'gru-native';
 *
 * const stateReset: StateReset = 'batch';
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8, stateReset });
 * for await (const event of run) if (event.type === 'start') console.log(event.config.stateReset);
 * run.dispose();
 * ```
 */
export type StateReset = 'auto' | 'epoch' | 'batch';
/**
 * Where the arithmetic is done: `auto` is the first GPU that will do or else the CPU; `cpu`; `cuda` is the first GPU that
 * will do; `cuda:N` is that one. Where the GPU that was asked for cannot be used, the error has the code GRU_DEVICE.
 *
 * @example
 * ```ts
 * import { type DeviceName, loadCorpus, train } from 'gru-native';
 *
 * const device: DeviceName = 'cpu';
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8, device });
 * for await (const event of run) if (event.type === 'start') console.log(event.device); // cpu
 * run.dispose();
 * ```
 */
export type DeviceName = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`;
/**
 * What becomes of a run that diverges: it ends, or it goes back to its last good point with half the rate.
 *
 * @example
 * ```ts
 * import { loadCorpus, type OnDivergence, train } from 'gru-native';
 *
 * const onDivergence: OnDivergence = 'rollback';
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8, onDivergence });
 * for await (const event of run) if (event.type === 'rollback') console.log(event.reason);
 * run.dispose();
 * ```
 */
export type OnDivergence = 'stop' | 'rollback';
/**
 * Arithmetic of the products: `fp32`; `tf32`, on GPUs alone; `bf16`, on GPUs and on processors with instructions for it;
 * `fp32-exact`, on the CPU alone. State, gradients and master weights are always fp32.
 *
 * @example
 * ```ts
 * import { loadCorpus, type Precision, train } from 'gru-native';
 *
 * const precision: Precision = 'fp32';
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8, precision });
 * for await (const event of run) if (event.type === 'start') console.log(event.precision); // fp32
 * run.dispose();
 * ```
 */
export type Precision = 'fp32' | 'tf32' | 'bf16' | 'fp32-exact';

/**
 * Everything that decides what a run computes, plus where (device, threads). Each option's default is in
 * {@link DEFAULT_CONFIG}; what is out of range is an error GRU_USAGE that says what was expected.
 *
 * @example
 * ```ts
 * import { loadCorpus, train, type TrainingConfig } from 'gru-native';
 *
 * const small: Partial<TrainingConfig> = { batchSize: 4, numSteps: 8, seed: 1 };
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8, ...small });
 * for await (const event of run) if (event.type === 'start') console.log(event.config);
 * run.dispose();
 * ```
 */
export interface TrainingConfig {
  /**
   * Characters (code points) of the corpus to use. A {@link Corpus} that is loaded already is used whole: there the number is
   * only what a run that resumes is told, and need not be given.
   */
  maxChars: number | 'all';
  /** Order of the batches. */
  sampling: Sampling;
  /** When the carried hidden state is zeroed. */
  stateReset: StateReset;
  /** Epochs in all, also when resuming. */
  epochs: number;
  /** Time steps of an update: how far truncated BPTT reaches back. */
  numSteps: number;
  /** Hidden units. */
  hiddenSize: number;
  /** Step of plain SGD on the summed loss. */
  learningRate: number;
  /** Gradients are scaled down to this L2 norm over all parameters together. */
  maxGradNorm: number;
  /** Lanes that run side by side. */
  batchSize: number;
  /** Epochs between reports: perplexity and samples. */
  reportEvery: number;
  /** Epochs between checkpoints; `auto` is at every report. */
  checkpointEvery: number | 'auto';
  /** How many of the latest checkpoints' models are kept in `checkpoints/` of the output directory. */
  keep: number;
  /** What becomes of a run that diverges. */
  onDivergence: OnDivergence;
  /** How often a run may go back before it ends all the same. */
  maxRollbacks: number;
  /** Characters written after each prefix at a report. */
  sampleLength: number;
  /** What the samples at a report begin with. */
  prefixes: readonly string[];
  /** Standard deviation of the initial weights. */
  initScale: number;
  /** Seed of all random numbers, a whole number from 0 to 2^53 - 1. */
  seed: number;
  /** Arithmetic of the products. */
  precision: Precision;
  /** Where the arithmetic is done. */
  device: DeviceName;
  /** Threads of the CPU backend; `auto` is what the machine (or its cgroup) allows. */
  threads: number | 'auto';
}

/**
 * The book chapter's values: what an option has that {@link train} is not given. `gru-native train --help` shows them all.
 *
 * @example
 * ```ts
 * import { DEFAULT_CONFIG } from 'gru-native';
 *
 * console.log(DEFAULT_CONFIG.hiddenSize, DEFAULT_CONFIG.prefixes);
 * ```
 */
export const DEFAULT_CONFIG: Readonly<TrainingConfig> = {
  maxChars: 20_000,
  sampling: 'adjacent',
  stateReset: 'auto',
  epochs: 200,
  numSteps: 35,
  hiddenSize: 256,
  learningRate: 0.2,
  maxGradNorm: 5,
  batchSize: 32,
  reportEvery: 20,
  checkpointEvery: 'auto',
  keep: 0,
  onDivergence: 'stop',
  maxRollbacks: 3,
  sampleLength: 100,
  prefixes: ['分开', '不分开', '战争中部队'],
  initScale: 0.01,
  seed: 0,
  precision: 'fp32',
  device: 'auto',
  threads: 'auto',
};

/** Characters of a corpus that are used unless told otherwise. */
export const DEFAULT_MAX_CHARS = DEFAULT_CONFIG.maxChars;

/** What an option must be: a sentence fragment for messages, and the check. */
interface Rule {
  expected: string;
  holds: (value: unknown) => boolean;
}

function wholeNumber(min: number, max = 2 ** 31 - 1): Rule {
  const range = max === Number.MAX_SAFE_INTEGER ? `from ${min} to 2^53 - 1` : `from ${min} to ${max}`;
  return {
    expected: `a whole number ${range}`,
    holds: (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
  };
}

/** Positive numbers that are still positive, and finite, as f32. */
const positiveNumber: Rule = {
  expected: 'a finite number above 0',
  holds: (value) =>
    typeof value === 'number' && Math.fround(value) > 0 && Number.isFinite(Math.fround(value)),
};

function oneOf(...values: readonly string[]): Rule {
  return { expected: values.join(', '), holds: (value) => values.includes(value as string) };
}

function or(word: string, rule: Rule): Rule {
  return { expected: `${rule.expected}, or ${word}`, holds: (value) => value === word || rule.holds(value) };
}

const RULES: { readonly [Key in keyof TrainingConfig]: Rule } = {
  maxChars: or('all', wholeNumber(1)),
  sampling: oneOf('adjacent', 'random'),
  stateReset: oneOf('auto', 'epoch', 'batch'),
  epochs: wholeNumber(0),
  numSteps: wholeNumber(1),
  hiddenSize: wholeNumber(1),
  learningRate: positiveNumber,
  maxGradNorm: positiveNumber,
  batchSize: wholeNumber(1),
  reportEvery: wholeNumber(1),
  checkpointEvery: or('auto', wholeNumber(1)),
  keep: wholeNumber(0),
  onDivergence: oneOf('stop', 'rollback'),
  maxRollbacks: wholeNumber(1, 100),
  sampleLength: wholeNumber(0),
  prefixes: {
    expected: 'a list of texts of at least one character',
    holds: (value) => Array.isArray(value) && value.every((text) => typeof text === 'string' && text !== ''),
  },
  initScale: {
    expected: 'a finite number of at least 0',
    holds: (value) => value === 0 || positiveNumber.holds(value),
  },
  seed: wholeNumber(0, Number.MAX_SAFE_INTEGER),
  precision: oneOf('fp32', 'tf32', 'bf16', 'fp32-exact'),
  device: {
    expected: 'auto, cpu, cuda or cuda:N',
    holds: (value) => typeof value === 'string' && /^(auto|cpu|cuda(:\d{1,3})?)$/.test(value),
  },
  threads: or('auto', wholeNumber(1, 1024)),
};

/** The names of all options. */
export const CONFIG_KEYS = Object.keys(RULES) as readonly (keyof TrainingConfig)[];

/**
 * Fills in the defaults and checks every option.
 *
 * @throws GruError GRU_USAGE naming the first option that is unknown or out of range
 */
export function resolveConfig(given: Partial<TrainingConfig>): TrainingConfig {
  const config: TrainingConfig = { ...DEFAULT_CONFIG };
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(RULES, key)) {
      throw new GruError(
        'GRU_USAGE',
        `expected a training option, received ${quote(key)}`,
        `The options are ${CONFIG_KEYS.join(', ')}.`,
      );
    }
    checkOption(key as keyof TrainingConfig, value, key);
    Object.assign(config, { [key]: value });
  }
  return config;
}

/**
 * Checks one option's value.
 *
 * @param label - how the user knows the option, such as `--epochs`
 * @throws GruError GRU_USAGE
 */
export function checkOption(key: keyof TrainingConfig, value: unknown, label: string): void {
  const rule = RULES[key];
  if (rule.holds(value)) return;
  throw new GruError(
    'GRU_USAGE',
    `expected ${rule.expected} for ${label}, received ${quote(value)}`,
    `The default is ${String(DEFAULT_CONFIG[key])}; gru-native train --help lists all options.`,
  );
}

/** Whether the hidden state is carried from update to update within an epoch. */
export function carriesState(config: Pick<TrainingConfig, 'sampling' | 'stateReset'>): boolean {
  return config.stateReset === 'auto' ? config.sampling === 'adjacent' : config.stateReset === 'epoch';
}
