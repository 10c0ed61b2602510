// @ts-check
/**
 * Writes a text as it is chosen, character by character, with a saved model; trains and saves a small one if there is
 * none.
 *
 *     node examples/stream.mjs [model] [prefix]
 */

import { existsSync } from 'node:fs';
import { LanguageModel, loadCorpus, train } from 'gru-native';

const [path = 'example-stream.safetensors', prefix = '风'] = process.argv.slice(2);

if (!existsSync(path)) {
  console.log(`no model at ${path}: training one`);
  const corpus = await loadCorpus('songs', { maxChars: 4000 });
  const run = train({ corpus, epochs: 60, hiddenSize: 64, batchSize: 8, numSteps: 20 });
  for await (const event of run) {
    if (event.type === 'end')
      console.log(`perplexity ${event.perplexity?.toFixed(1)} after ${event.epochs} epochs`);
  }
  const trained = await run.model();
  await trained.save(path);
  trained.dispose();
  run.dispose();
}

const model = await LanguageModel.load(path);
process.stdout.write(prefix);
for await (const character of model.stream(prefix, { length: 60, temperature: 0.5, topK: 20, seed: 1 })) {
  process.stdout.write(character);
}
process.stdout.write('\n');
model.dispose();
