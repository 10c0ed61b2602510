/** `gru-native eval`: perplexity of a text under a model. */

import type { Command } from 'commander';
import type { DeviceName, TrainingConfig } from '../config.js';
import type { EvaluationProgress } from '../evaluation.js';
import { perplexity } from '../perplexity.js';
import { duration, grouped, LiveLine } from './live-line.js';
import { configValue, declareReading, type ReadingFlags, SOURCES_HELP, tellGpuWait } from './options.js';

interface EvalFlags extends ReadingFlags {
  maxChars?: TrainingConfig['maxChars'];
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
  const { vocabulary, device } = flags;
  const line = new LiveLine(!flags.json);
  const stop = stopOnSignals(() => {});
  try {
    const { signal } = stop;
    const options = { vocabulary, device, signal, onGpuWait: tellGpuWait };
    await using model = await LanguageModel.load(path, options);
    const { maxChars = 'all', encoding, nfc } = flags;
    const { text } = await loadCorpus(sources, { maxChars, encoding, nfc, signal });
    const onProgress = drawOn(line);
    const result = await model.evaluate(text, { signal, onProgress });
    line.wipe();
    if (flags.json) {
      process.stdout.write(toNdjson({ type: 'evaluation', ...result }));
      return;
    }
    const { lossSum, tokens } = result;
    const mean = (lossSum / tokens).toPrecision(5);
    process.stdout.write(
      `perplexity ${result.perplexity.toPrecision(6)} (${mean} nats a character, ${grouped(tokens)} predictions)\n`,
    );
  } catch (thrown) {
    if (!(thrown instanceof GruError) || thrown.code !== 'GRU_INTERRUPTED') throw thrown;
    const hint = 'Nothing is kept of an evaluation that was stopped; run it again.';
    throw new GruError(thrown.code, thrown.message, hint, { cause: stop.signal.reason });
  } finally {
    line.wipe();
    stop.dispose();
  }
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
