// @ts-check
/**
 * A model of one's own texts, saved, loaded again, written with and evaluated. Texts are files, folders, globs or archives;
 * without any, the strings below.
 *
 *     node examples/own-corpus.mjs [text...]
 */

import { corpusFromText, LanguageModel, loadCorpus, train } from 'gru-native';

const sources = process.argv.slice(2);
const FILE = 'example-own.safetensors';
const SONGS = [
  'the rain came down on the tin roof\nand the river rose in the night\nwe sat by the lamp and counted\nthe hours until the light',
  'the wind came up from the harbour\nand the gulls were loud at dawn\nwe sat by the wall and waited\nuntil the boats were gone',
  'the snow came down on the orchard\nand the lane was white by noon\nwe sat by the fire and promised\nthe spring would find us soon',
];

const corpus =
  sources.length > 0
    ? await loadCorpus(sources, { maxChars: 'all' })
    : corpusFromText(SONGS.join('\n'), { name: 'three songs', maxChars: 'all' });
console.log(`${corpus.name}: ${corpus.characters} characters`);

const run = train({ corpus, epochs: 60, hiddenSize: 64, batchSize: 4, numSteps: 16, learningRate: 0.3 });
for await (const event of run) {
  if (event.type === 'epoch' && event.epoch % 20 === 0) {
    console.log(`epoch ${event.epoch}, perplexity ${event.perplexity.toFixed(2)}`);
  }
}
const trained = await run.model();
await trained.save(FILE);
trained.dispose();
run.dispose();

const model = await LanguageModel.load(FILE);
console.log(`saved and loaded: ${FILE}, ${model.vocabSize} distinct characters`);
const prefix = corpus.text.slice(0, 4);
for (const text of await model.generateAll([prefix], { length: 60, temperature: 0.5, count: 2 }))
  console.log(`- ${text}`);

const verse = 'the rain came up from the river (1987)';
const { perplexity, tokens, skipped } = await model.evaluate(verse, { unknown: 'skip' });
console.log(
  `"${verse}": perplexity ${perplexity.toFixed(2)} over ${tokens} predictions, ${skipped} characters left out`,
);
model.dispose();
