/** Evaluations of long texts: piece by piece, with progress, and stopped. Values: test/model.test.ts. */

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EvaluationProgress } from '../src/evaluation.js';
import { LanguageModel } from '../src/model.js';
import { readModelFile } from '../src/model-file.js';
import { Network } from '../src/native.js';
import { Random } from '../src/random.js';

const PATH = join(import.meta.dirname, 'reference/model.safetensors');
/** Predictions of a piece. */
const PIECE = 64 * 256;

let model: LanguageModel;
beforeAll(async () => {
  model = await LanguageModel.load(PATH);
});
afterAll(() => model.dispose());

/** A made-up text of characters that the model knows. */
function madeUp(length: number): string {
  const random = new Random(1, 'test');
  const { characters } = model.vocabulary;
  const draw = () => characters[Math.floor(random.nextFloat() * characters.length)];
  return Array.from({ length }, draw).join('');
}

test.each([PIECE, PIECE + 1, PIECE + 2, 2 * PIECE + 300])(
  'a text of %i characters in pieces is one run over all of it, bit for bit',
  async (length) => {
    const text = madeUp(length);
    const { vocabSize, hiddenSize, parameters, vocabulary } = await readModelFile(PATH);
    const network = new Network({ vocabSize, hiddenSize, batchSize: 1, numSteps: 256 });
    await network.setParameters(parameters);
    await network.loadCorpus(vocabulary.encode(text, 'the text'));
    const losses: number[] = [];
    for (let start = 0; start < length - 1; start += 256) {
      const numSteps = Math.min(256, length - 1 - start);
      const starts = Int32Array.of(start);
      const plan = { starts, numSteps, learningRate: new Float32Array(), maxGradNorm: 1, carryState: true };
      losses.push(...(await network.evaluate(plan)).lossSum);
    }
    network.dispose();
    const lossSum = losses.reduce((sum, loss) => sum + loss, 0);
    expect(await model.evaluate(text)).toEqual({
      lossSum,
      tokens: length - 1,
      perplexity: Math.exp(lossSum / (length - 1)),
      skipped: 0,
      replaced: 0,
    });
  },
);

test('progress is told after every piece, up to the result', async () => {
  const seen: EvaluationProgress[] = [];
  const text = madeUp(2 * PIECE + 301);
  const result = await model.evaluate(text, { onProgress: (progress) => seen.push(progress) });
  const totalTokens = 2 * PIECE + 300;
  expect(seen.map(({ tokens }) => tokens)).toEqual([PIECE, 2 * PIECE, 2 * PIECE + 256, totalTokens]);
  expect(seen.every((progress) => progress.totalTokens === totalTokens)).toBe(true);
  expect(seen.at(-1)?.lossSum).toBe(result.lossSum);
  for (const [index, { lossSum }] of seen.entries())
    expect(lossSum).toBeGreaterThan(seen[index - 1]?.lossSum ?? 0);
});

describe('stopping', () => {
  test('ends it between two pieces or inside of one, and the next starts afresh', async () => {
    const text = madeUp(3 * PIECE);
    const whole = await model.evaluate(text);
    const controller = new AbortController();
    const reason = new Error('enough');
    const stopped = model.evaluate(text, {
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await expect(stopped).rejects.toMatchObject({
      code: 'GRU_INTERRUPTED',
      message: `stopped on request after ${PIECE} of ${3 * PIECE - 1} predictions`,
      cause: reason,
    });
    const inside = new AbortController();
    const running = model.evaluate(text, { signal: inside.signal });
    setTimeout(() => inside.abort(), 5);
    await expect(running).rejects.toMatchObject({ code: 'GRU_INTERRUPTED' });
    expect(await model.evaluate(text)).toEqual(whole);
  });

  test('before it begins does no work', async () => {
    const seen: EvaluationProgress[] = [];
    const onProgress = (progress: EvaluationProgress) => seen.push(progress);
    const evaluation = model.evaluate(madeUp(PIECE), { signal: AbortSignal.abort(), onProgress });
    await expect(evaluation).rejects.toThrow(/after 0 of/);
    expect(seen).toEqual([]);
  });

  test('by what progress throws', async () => {
    const thrown = new Error('no more');
    const onProgress = () => {
      throw thrown;
    };
    await expect(model.evaluate(madeUp(2 * PIECE), { onProgress })).rejects.toBe(thrown);
  });
});

test('evaluations asked for at once do not disturb each other', async () => {
  const texts = [madeUp(PIECE + 700), madeUp(500).slice(100), madeUp(PIECE * 2).slice(7)];
  const alone = [];
  for (const text of texts) alone.push(await model.evaluate(text));
  const unknown = expect(model.evaluate('龘龘')).rejects.toMatchObject({ code: 'GRU_VOCABULARY' });
  expect(await Promise.all(texts.map((text) => model.evaluate(text)))).toEqual(alone);
  await unknown;
});

test('a loss that is not finite is an error, not a perplexity', async () => {
  const content = await readModelFile(PATH);
  const parameters = content.parameters.slice().fill(-3e38); // finite, but the logits are not
  await using broken = await LanguageModel.fromContent({ ...content, parameters });
  const [first, second] = content.vocabulary.characters as [string, string];
  await expect(broken.evaluate(first + second + first)).rejects.toMatchObject({
    code: 'GRU_DIVERGED',
    message: expect.stringMatching(/expected a finite loss/),
  });
});
