/** `gru-native eval`: perplexity of a text under a model. */

import type { Command } from 'commander';
import type { DeviceName, TrainingConfig } from '../config.js';
import type { Evaluation, EvaluationProgress } from '../evaluation.js';
import { perplexity } from '../perplexity.js';
import type { UnknownPolicy, UnknownReport } from '../unknown.js';
import { duration, grouped, LiveLine, plural } from './live-line.js';
import {
  configValue,
  declareReading,
  type ReadingFlags,
  SOURCES_HELP,
  tellGpuWait,
  UNKNOWN_HELP,
  unknownValue,
} from './options.js';

interface EvalFlags extends ReadingFlags {
  maxChars?: TrainingConfig['maxChars'];
  unknown?: UnknownPolicy;
  vocabulary?: string;
  device?: DeviceName;
  json?: boolean;
}

/** Adds arguments and options. */
export function declareEval(command: Command): void {
  declareReading(command)
    .argument('<model>', 'model file or directory')
    .argument('<text...>', SOURCES_HELP)
    .option(
      '--max-chars <n>',
      'characters of the text to use, or all (default: all)',
      configValue('maxChars', '--max-chars'),
    )
    .option('--unknown <policy>', UNKNOWN_HELP, unknownValue)
    .option('--vocabulary <file>', 'JSON array of characters in id order, for a model file that holds none')
    .option(
      '--device <name>',
      'auto, cpu, cuda or cuda:N (default: auto, here the CPU)',
      configValue('device', '--device'),
    )
    .option('--json', 'print one JSON object')
    .action(runEval);
}

async function runEval(path: string, sources: readonly string[], flags: EvalFlags): Promise<void> {
  const { loadCorpus } = await import('../corpus.js');
  const { LanguageModel } = await import('../model.js');
  const { GruError } = await import('../errors.js');
  const { toNdjson } = await import('../events.js');
  const { stopOnSignals } = await import('./stop.js');
  const { tellUnknown } = await import('./notes.js');
  const { vocabulary, device, unknown } = flags;
  const line = new LiveLine(!flags.json);
  const stop = stopOnSignals(() => {});
  try {
    const { signal } = stop;
    const options = { vocabulary, device, signal, onGpuWait: tellGpuWait };
    await using model = await LanguageModel.load(path, options);
    const { maxChars = 'all', encoding, nfc } = flags;
    const { text } = await loadCorpus(sources, { maxChars, encoding, nfc, signal });
    const onProgress = drawOn(line);
    let kinds: UnknownReport['unknown'] = [];
    const onUnknown = (report: UnknownReport) => {
      kinds = report.unknown;
      tellUnknown(report, 'the text');
    };
    const result = await model.evaluate(text, { signal, onProgress, unknown, onUnknown });
    line.wipe();
    if (flags.json) process.stdout.write(toNdjson({ type: 'evaluation', ...result, unknown: kinds }));
    else process.stdout.write(`${resultLine(result, kinds)}\n`);
  } catch (thrown) {
    if (!(thrown instanceof GruError) || thrown.code !== 'GRU_INTERRUPTED') throw thrown;
    const hint = 'Nothing is kept of an evaluation that was stopped; run it again.';
    throw new GruError(thrown.code, thrown.message, hint, { cause: stop.signal.reason });
  } finally {
    line.wipe();
    stop.dispose();
  }
}

/** The perplexity, what it is of, and what was not read as it stands. */
function resultLine(
  { perplexity, lossSum, tokens, skipped, replaced }: Evaluation,
  kinds: UnknownReport['unknown'],
): string {
  const mean = (lossSum / tokens).toPrecision(5);
  const characters = tokens + 1 + skipped;
  const share = (count: number, became: string) => {
    const of = kinds.filter(({ replacement }) => (replacement === null) === (became === 'left out')).length;
    const percent = (100 * count) / characters;
    const amount = percent < 0.1 ? 'under 0.1 %' : `${percent.toFixed(1)} %`;
    return `; ${plural(count, 'character')} (${plural(of, 'kind')}) ${became}, ${amount}`;
  };
  return [
    `perplexity ${perplexity.toPrecision(6)} (${mean} nats a character, ${grouped(tokens)} predictions)`,
    ...(replaced > 0 ? [share(replaced, 'replaced')] : []),
    ...(skipped > 0 ? [share(skipped, 'left out')] : []),
  ].join('');
}

/** Draws how far an evaluation that begins now is, how it does, and how long it will take. */
function drawOn(line: LiveLine): (progress: EvaluationProgress) => void {
  const began = performance.now();
  return ({ tokens, totalTokens, lossSum }) => {
    if (!line.due) return;
    const speed = tokens / ((performance.now() - began) / 1000);
    line.draw([
      `evaluated ${Math.floor((100 * tokens) / totalTokens)} %`,
      `perplexity ${perplexity(lossSum, tokens).toPrecision(5)}`,
      `${grouped(Math.round(speed))} characters/s`,
      `${duration((totalTokens - tokens) / speed)} left`,
    ]);
  };
}
