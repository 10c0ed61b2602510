/** `gru-native inspect`: what a model file holds. */

import type { Command } from 'commander';
import { DEFAULT_OUT } from './options.js';
import { table } from './table.js';

/** Characters of the vocabulary that are shown. */
const SHOWN_CHARACTERS = 24;

/** Adds arguments and options. */
export function declareInspect(command: Command): void {
  command
    .argument('[model]', 'model file or directory', DEFAULT_OUT)
    .option('--vocabulary <file>', 'JSON array of characters in id order, for a model file that holds none')
    .option('--json', 'print one JSON object')
    .action(runInspect);
}

async function runInspect(path: string, flags: { vocabulary?: string; json?: boolean }): Promise<void> {
  const { readModelFile } = await import('../model-file.js');
  const { toNdjson } = await import('../events.js');
  const { vocabulary, vocabSize, hiddenSize, candidateBias, parameters, metadata } = await readModelFile(
    path,
    flags.vocabulary,
  );
  if (flags.json) {
    const facts = { vocabSize, hiddenSize, candidateBias, parameters: parameters.length };
    process.stdout.write(toNdjson({ type: 'model', ...facts, metadata: metadata ?? null }));
    return;
  }
  const more = vocabSize > SHOWN_CHARACTERS ? ` … (${vocabSize - SHOWN_CHARACTERS} more)` : '';
  const rows: [string, string][] = [
    ['model', path],
    ['cell', `GRU, reset gate after the product${candidateBias ? ', with a recurrent candidate bias' : ''}`],
    ['hidden size', String(hiddenSize)],
    ['parameters', parameters.length.toLocaleString('en-US')],
    ['vocabulary', `${vocabSize}: ${vocabulary.characters.slice(0, SHOWN_CHARACTERS).join('')}${more}`],
  ];
  if (metadata === undefined) {
    rows.push(['origin', 'another program']);
  } else {
    const { corpus, epochs, perplexity, config, packageVersion } = metadata;
    const { sampling, numSteps, batchSize, learningRate, maxGradNorm, seed } = config;
    rows.push(
      [
        'corpus',
        `${corpus.name}, ${corpus.characters.toLocaleString('en-US')} characters, SHA-256 ${corpus.sha256}`,
      ],
      ['epochs', `${epochs} of ${config.epochs}`],
      ['perplexity', perplexity === null ? 'not trained yet' : perplexity.toPrecision(6)],
      [
        'training',
        `${sampling} sampling, ${numSteps} steps, batch ${batchSize}, rate ${learningRate}, norm ${maxGradNorm}, seed ${seed}`,
      ],
      ['written by', `gru-native ${packageVersion}`],
    );
  }
  process.stdout.write(table(rows));
}
