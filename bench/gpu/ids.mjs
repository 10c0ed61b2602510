/**
 * Writes a corpus as character ids, as PyTorch reads them, and prints the chapter's sizes:
 * node ids.mjs SOURCE FILE. A process of its own, since it loads the addon.
 */

import { writeFileSync } from 'node:fs';
import { DEFAULT_CONFIG, loadCorpus, Vocabulary } from '../../dist/index.js';

const [source, file] = process.argv.slice(2);
const { maxChars, hiddenSize, batchSize, numSteps } = DEFAULT_CONFIG;
const corpus = await loadCorpus(source, { maxChars, offline: true });
const vocabulary = Vocabulary.fromText(corpus.text);
const ids = vocabulary.encode(corpus.text, 'the corpus');
const bytes = Buffer.alloc(ids.length * 4);
for (const [index, id] of ids.entries()) bytes.writeUInt32LE(id, index * 4);
writeFileSync(file, bytes);
console.log(
  JSON.stringify({ vocab: vocabulary.size, hidden: hiddenSize, batch: batchSize, steps: numSteps }),
);
