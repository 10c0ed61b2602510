/** What the native side rejects with comes out of the library as GruError. */

import { expect, it } from 'vitest';
import { corpusFromText } from '../src/corpus.js';
import { GruError } from '../src/errors.js';
import { LanguageModel } from '../src/model.js';
import { train } from '../src/train.js';

const OPTIONS = { epochs: 1, hiddenSize: 4, batchSize: 2, numSteps: 4, device: 'cpu' } as const;

it('is a GruError that a model and a run answer with after dispose', async () => {
  const run = train({ corpus: corpusFromText('风吹过来 '.repeat(10)), ...OPTIONS });
  for await (const _ of run); // to its end
  const model = await run.model();
  model.dispose();
  run.dispose();
  const calls = [
    () => model.generate('风'),
    () => model.generateAll(['风']),
    () => model.stream('风').next(),
    () => model.streamAll(['风']).next(),
    () => model.evaluate('风吹'),
    () => run.model(),
  ];
  for (const call of calls) {
    const thrown = await call().catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(GruError);
    expect(thrown).toMatchObject({ code: 'GRU_DISPOSED' });
  }
});

it('is a GruError where the parameters of a model do not fit its sizes', async () => {
  const run = train({ corpus: corpusFromText('风吹过来 '.repeat(10)), ...OPTIONS });
  for await (const _ of run); // to its end
  const model = await run.model();
  const { metadata, vocabulary } = model;
  const content = {
    vocabulary,
    metadata,
    vocabSize: vocabulary.size,
    hiddenSize: 4,
    candidateBias: false,
    parameters: new Float32Array(3),
    state: undefined,
  };
  const thrown = await LanguageModel.fromContent(content).catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(GruError);
  expect(thrown).toMatchObject({ code: 'GRU_USAGE' });
  model.dispose();
  run.dispose();
});
