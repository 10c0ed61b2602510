/** `gru-native train`: options to a training run, its events to the views. */

import type { Command } from 'commander';
import { DEFAULT_CONFIG, type TrainingConfig } from '../config.js';
import { GruError } from '../errors.js';
import type { TrainEvent } from '../events.js';
import {
  collectPrefix,
  configValue,
  DEFAULT_OUT,
  declareReading,
  type ReadingFlags,
  SOURCES_HELP,
  tellGpuWait,
} from './options.js';

/** The corpus of a run that names none. */
const DEFAULT_SOURCE = 'songs';

/** Training options that take one value: key, flag, placeholder, meaning. */
const VALUE_OPTIONS: readonly (readonly [keyof TrainingConfig, string, string, string])[] = [
  ['maxChars', '--max-chars', 'n', 'characters of the corpus to use, or all'],
  ['sampling', '--sampling', 'kind', 'order of the batches: adjacent or random'],
  [
    'stateReset',
    '--state-reset',
    'when',
    'when the hidden state is zeroed: epoch, batch, or auto (epoch for adjacent, batch for random sampling)',
  ],
  ['epochs', '--epochs', 'n', 'epochs in all, also with --resume'],
  ['numSteps', '--num-steps', 'n', 'time steps of an update: how far truncated BPTT reaches back'],
  ['hiddenSize', '--hidden-size', 'n', 'hidden units'],
  ['learningRate', '--learning-rate', 'x', 'step of SGD on the summed loss'],
  ['maxGradNorm', '--max-grad-norm', 'x', 'gradients are scaled down to this L2 norm over all parameters'],
  ['batchSize', '--batch-size', 'n', 'lanes that run side by side'],
  ['reportEvery', '--report-every', 'n', 'epochs between reports: perplexity and samples'],
  ['checkpointEvery', '--checkpoint-every', 'n', 'epochs between checkpoints; auto is at every report'],
  ['keep', '--keep', 'n', "keep the models of the last n checkpoints in the directory's checkpoints/"],
  [
    'onDivergence',
    '--on-divergence',
    'what',
    'stop, or rollback: go back to the last good checkpoint, halve the rate',
  ],
  ['maxRollbacks', '--max-rollbacks', 'n', 'how often a run may go back'],
  ['sampleLength', '--sample-length', 'n', 'characters written after each prefix at a report'],
  ['initScale', '--init-scale', 'x', 'standard deviation of the initial weights'],
  ['seed', '--seed', 'n', 'seed of all random numbers'],
  ['device', '--device', 'name', 'auto, cpu, cuda or cuda:N'],
  [
    'precision',
    '--precision',
    'kind',
    'arithmetic of the products: fp32, bf16, tf32 (on a GPU only) or fp32-exact (on the CPU only)',
  ],
  ['threads', '--threads', 'n', 'threads of the CPU backend, or auto'],
];

interface TrainFlags extends Partial<TrainingConfig>, ReadingFlags {
  prefix?: readonly string[];
  out: string;
  overwrite?: boolean;
  resume?: boolean;
  initFrom?: string;
  offline?: boolean;
  json?: boolean;
  quiet?: boolean;
}

/** Adds arguments and options. */
export function declareTrain(command: Command): void {
  command.argument('[corpus...]', `${SOURCES_HELP} (default: ${DEFAULT_SOURCE})`);
  for (const [key, flag, placeholder, meaning] of VALUE_OPTIONS) {
    const text = `${meaning} (default: ${String(DEFAULT_CONFIG[key])})`;
    command.option(`${flag} <${placeholder}>`, text, configValue(key, flag));
  }
  declareReading(command)
    .option(
      '--prefix <text>',
      `what a sample begins with; may be repeated (default: ${DEFAULT_CONFIG.prefixes.join(', ')})`,
      collectPrefix,
    )
    .option('--out <dir>', 'directory for model, checkpoints and event log', DEFAULT_OUT)
    .option('--overwrite', 'replace a model that is already there')
    .option('--resume', 'go on from the checkpoint in --out')
    .option('--init-from <model>', "begin with a model's weights and vocabulary")
    .option('--offline', 'never reach for the network')
    .option('--json', 'print events as NDJSON on stdout')
    .option('--quiet', 'print nothing but errors')
    .action(runTrain);
}

async function runTrain(named: readonly string[], flags: TrainFlags): Promise<void> {
  const { loadCorpus } = await import('../corpus.js');
  const { train } = await import('../train.js');
  const { saveOnSignal, stopOnSignals } = await import('./stop.js');
  const { NdjsonView, TerminalView } = await import('./views.js');

  const { prefix, out, overwrite, resume, initFrom, offline, encoding, nfc, json, quiet, ...config } = flags;
  let sources = named;
  let begun = false;
  let saved = false;
  const stop = stopOnSignals(() => {
    if (!quiet && begun)
      process.stderr.write('\nfinishing the running update, then saving (once more: stop at once)\n');
  });
  // Until there is a run, a request to save has nothing to save; it must not end the process either.
  let saveNow = () => {};
  const saving = saveOnSignal(() => saveNow());
  try {
    const view: { show: (event: TrainEvent) => void } = json
      ? new NdjsonView()
      : new TerminalView(quiet ?? false);
    await using run = train({
      ...config,
      ...(prefix === undefined ? {} : { prefixes: prefix }),
      ...(initFrom === undefined ? {} : { initFrom }),
      corpus: (before) => {
        saved = before !== undefined;
        if (named.length === 0) sources = before?.sources ?? [DEFAULT_SOURCE];
        if (sources.length === 0) throw ofNoSource(out);
        return loadCorpus(sources, {
          maxChars: config.maxChars ?? before?.maxChars,
          encoding: encoding ?? before?.reading.encoding,
          nfc: nfc ?? before?.reading.nfc,
          offline,
          signal: stop.signal,
        });
      },
      out,
      overwrite: overwrite ?? false,
      resume: resume ?? false,
      signal: stop.signal,
      ...(quiet ? {} : { onGpuWait: tellGpuWait }),
    });
    saveNow = () => run.saveNow();
    for await (const event of run) {
      begun = true;
      view.show(event);
      saved ||= event.type === 'checkpoint';
    }
  } catch (thrown) {
    if (!(thrown instanceof GruError)) throw thrown;
    const { code, message } = thrown;
    const goOn = resumeCommand(sources, flags);
    if (code === 'GRU_DEVICE_FAULT') {
      const rest = saved ? `Go on from the last checkpoint with: ${goOn}` : 'Nothing was saved yet.';
      throw new GruError(code, message, `${thrown.hint} ${rest}`, { cause: thrown });
    }
    if (code === 'GRU_DIVERGED' && saved && config.onDivergence !== 'rollback') {
      const hint = `${thrown.hint} To go on from it with the rate halved as often as it takes: ${goOn} --on-divergence rollback`;
      throw new GruError(code, message, hint, { cause: thrown });
    }
    if (code !== 'GRU_INTERRUPTED') throw thrown;
    const hint = saved ? `Saved in ${out}; go on with: ${goOn}` : 'Nothing was trained yet.';
    throw new GruError(code, message, hint, { cause: stop.signal.reason });
  } finally {
    stop.dispose();
    saving.dispose();
  }
}

/** A run of the library on a text in memory left nothing to read again. */
function ofNoSource(out: string): GruError {
  return new GruError(
    'GRU_USAGE',
    `expected the corpus to go on with, received none: the checkpoint in ${out} is of a text that was in memory`,
    'Name a file with that text.',
  );
}

/** The exact command that goes on with a stopped run: what is not saved with it must be said again. */
function resumeCommand(sources: readonly string[], { out, device, threads }: TrainFlags): string {
  const words = ['npx', 'gru-native', 'train'];
  if (sources.includes('-')) words.push(...sources);
  words.push('--resume');
  if (out !== DEFAULT_OUT) words.push('--out', out);
  if (device !== undefined) words.push('--device', device);
  if (threads !== undefined) words.push('--threads', String(threads));
  return words.map(quoted).join(' ');
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
