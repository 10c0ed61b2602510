/** `gru-native eval`: perplexity of a text under a model. */

import type { Command } from 'commander';
import type { DeviceName, TrainingConfig } from '../config.js';
import { configValue } from './options.js';

interface EvalFlags {
  maxChars?: TrainingConfig['maxChars'];
  vocabulary?: string;
  device?: DeviceName;
  json?: boolean;
}

/** Adds arguments and options. */
export function declareEval(command: Command): void {
  command
    .argument('<model>', 'model file or directory')
    .argument('<text>', 'text file, folder, zip, - for stdin, or a named corpus')
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

async function runEval(path: string, source: string, flags: EvalFlags): Promise<void> {
  const { loadCorpus } = await import('../corpus.js');
  const { LanguageModel } = await import('../model.js');
  const { toNdjson } = await import('../events.js');
  const { vocabulary, device } = flags;
  await using model = await LanguageModel.load(path, { vocabulary, device });
  const corpus = await loadCorpus(source, { maxChars: flags.maxChars ?? 'all' });
  const { perplexity, lossSum, tokens } = await model.evaluate(corpus.text);
  if (flags.json) {
    process.stdout.write(toNdjson({ type: 'evaluation', perplexity, lossSum, tokens }));
    return;
  }
  const mean = (lossSum / tokens).toPrecision(5);
  const count = tokens.toLocaleString('en-US');
  process.stdout.write(
    `perplexity ${perplexity.toPrecision(6)} (${mean} nats a character, ${count} predictions)\n`,
  );
}
