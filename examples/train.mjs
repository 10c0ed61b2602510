// @ts-check
/**
 * Trains a small model on the embedded songs and shows what its events tell. Ctrl-C saves what was done and ends; the same
 * command goes on from there.
 *
 *     node examples/train.mjs [folder] [epochs]
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { GruError, loadCorpus, train } from 'gru-native';

const [out = 'example-model', epochs = '60'] = process.argv.slice(2);

const stop = new AbortController();
process.once('SIGINT', () => stop.abort()); // a second Ctrl-C ends the process at once

const run = train({
  corpus: await loadCorpus('songs', { maxChars: 4000 }),
  epochs: Number(epochs),
  hiddenSize: 64,
  batchSize: 8,
  numSteps: 20,
  reportEvery: 10,
  sampleLength: 24,
  prefixes: ['我们', '风'],
  out,
  resume: existsSync(join(out, 'trainer.safetensors')),
  signal: stop.signal,
});

try {
  for await (const event of run) {
    switch (event.type) {
      case 'start':
        console.log(
          `${event.corpus.characters} characters, ${event.parameters} parameters, on ${event.device}`,
        );
        if (event.epochsDone > 0) console.log(`going on after epoch ${event.epochsDone}`);
        break;
      case 'epoch':
        if (event.epoch % 10 === 0) console.log(lineOf(event));
        break;
      case 'sample':
        console.log(`    ${event.text}`);
        break;
      case 'end':
        console.log(`saved in ${event.path}`);
    }
  }
} catch (error) {
  if (!(error instanceof GruError)) throw error;
  console.error(`${error.message}\n${error.hint}`);
  process.exitCode = error.code === 'GRU_INTERRUPTED' ? 130 : 1;
} finally {
  run.dispose();
}

/**
 * An epoch in one line: a bar for the mean cross-entropy in nats, the logarithm of the perplexity.
 *
 * @param {import('gru-native').EpochEvent} event
 */
function lineOf({ epoch, perplexity }) {
  const bar = '█'.repeat(Math.round(5 * Math.log(perplexity)));
  return `epoch ${String(epoch).padStart(3)}  perplexity ${perplexity.toFixed(1).padStart(6)}  ${bar}`;
}
