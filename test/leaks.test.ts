/** What networks take and give back: threads and memory of one after the other, of many at once, of forgotten ones. */

import { describe, expect, it } from 'vitest';
import { LanguageModel } from '../src/model.js';
import { CancelFlag, Generation, Network } from '../src/native.js';
import { Vocabulary } from '../src/vocabulary.js';
import { CORPUS_LENGTH, SIZES, someIds, someNetwork, somePlan } from './network-fixture.js';
import { clean, node } from './node-script.js';

const LONG = process.env.GRU_LONG !== undefined;
/**
 * Networks made before memory is counted, those made after, and what each of these may leave, in KiB; one of the size
 * takes some 1,100. The heaps need about 5,000 until they stay as they are, so the short run allows more.
 */
const [WARM_UP, COUNTED, KEPT] = LONG ? [4000, 8000, 1] : [300, 1000, 8];

/** Threads and memory are counted in /proc. */
const linux = describe.runIf(process.platform === 'linux');

linux('networks', { timeout: LONG ? 300_000 : 60_000 }, () => {
  it('made and disposed of a thousand times leave no thread and no memory', async () => {
    const script = `
      network.dispose();
      const one = async (number) => {
        const made = new Network(sizes);
        if (number % 10 === 0) {
          await fill(made);
          await made.trainEpoch({ ...short, starts: starts.subarray(0, 8), learningRate: Float32Array.of(0.1) });
        }
        made.dispose();
      };
      const after = async (count) => {
        for (let number = 1; number <= count; number += 1) await one(number);
        const remaining = await left('gru-', 0, gc);
        return { remaining, memory: resident() };
      };
      (async () => {
        const early = await after(${WARM_UP});
        const late = await after(${COUNTED});
        const kept = (late.memory - early.memory) / ${COUNTED};
        console.log(early.remaining, late.remaining, kept < ${KEPT} ? 'flat' : kept + ' KiB a network');
      })();`;
    const ended = await node(script, { flags: ['--expose-gc'], seconds: 280 });
    expect(ended).toEqual(clean('0 0 flat\n'));
  });

  it('at work side by side each compute what one alone does, and give all back', async () => {
    const script = `
      network.dispose();
      const trained = async () => {
        const made = new Network(sizes);
        await fill(made);
        const { lossSum } = await made.trainEpoch(short);
        const result = JSON.stringify([Array.from(lossSum), Array.from(await made.parameters())]);
        return { made, result };
      };
      (async () => {
        await left('gru-', 0);
        const alone = await trained();
        alone.made.dispose();
        await left('gru-', 0);
        const many = await Promise.all(Array.from({ length: 32 }, trained));
        console.log(many.filter(({ result }) => result === alone.result).length, threads('gru-'));
        for (const { made } of many) made.dispose();
        console.log(await left('gru-', 0));
      })();`;
    // Each has a thread for its commands and, of two that compute, one more.
    expect(await node(script, { seconds: 50 })).toEqual(clean('32 64\n0\n'));
  });

  it('that were forgotten are freed, and keep their promises', async () => {
    const script = `
      const many = 50;
      const options = { ...sizes, hiddenSize: 256 };
      const promises = [];
      const forget = () => {
        for (let i = 0; i < many; i++) promises.push(new Network(options).initialize(0, 0.1));
      };
      (async () => {
        const before = resident();
        forget();
        console.log(threads('gru-') > many, resident() - before > 50 * 1024);
        const remaining = await left('gru-', 2, gc);
        console.log((await Promise.all(promises)).length, remaining);
        // They took 280 MB. What remains, mostly 10 to 30 MB, is what the allocator cannot give back.
        const kept = () => (resident() - before) / 1024;
        for (let i = 0; i < 100 && kept() > 70; i++) await pause(20);
        console.log(kept() <= 70 ? 'given back' : kept() + ' MB kept');
      })();`;
    expect(await node(script, { flags: ['--expose-gc'], seconds: 30 })).toEqual(
      clean('true true\n50 2\ngiven back\n'),
    );
  });

  it('that are forgotten one after the other are freed in time, with nobody calling for it', async () => {
    const script = `
      const before = resident();
      let [most, memory] = [0, 0];
      (async () => {
        for (let i = 0; i < 150; i++) {
          await new Network({ ...sizes, hiddenSize: 256 }).initialize(0, 0.1);
          if (i % 20 !== 19) continue;
          most = Math.max(most, threads('gru-'));
          memory = Math.max(memory, resident() - before);
        }
        // All of them would be 300 threads and 840 MB.
        console.log(most < 150, memory < 420 * 1024);
      })();`;
    expect(await node(script, { seconds: 50 })).toEqual(clean('true true\n'));
  });
});

/** A call of every method that promises something. */
const CALLS: Record<string, (network: Network) => Promise<unknown>> = {
  ready: (network) => network.ready(),
  initialize: (network) => network.initialize(0, 0.1),
  loadCorpus: (network) => network.loadCorpus(someIds(CORPUS_LENGTH, SIZES.vocabSize)),
  trainEpoch: (network) => network.trainEpoch(somePlan(3), new CancelFlag(), () => {}),
  evaluate: (network) => network.evaluate(somePlan(3)),
  forward: (network) => network.forward(Uint32Array.of(1)),
  generate: (network) => {
    const sampling = { temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1 };
    return network.generate(new Generation({ prefixes: [Uint32Array.of(1)], seeds: [0], ...sampling }), 5);
  },
  gradient: (network) => network.gradient(somePlan(1)),
  parameters: (network) => network.parameters(),
  setParameters: (network) => network.setParameters(new Float32Array(network.parameterCount)),
  writeModel: (network) => network.writeModel('/dev/null/nothing', '{}', true),
  state: (network) => network.state(),
  setState: (network) => network.setState(new Float32Array(SIZES.batchSize * SIZES.hiddenSize)),
};

const DISPOSED = { code: 'GRU_DISPOSED', message: expect.stringContaining('disposed of') };

describe('use after dispose', () => {
  /** The members of the prototype: getters and methods. */
  const members = Object.entries(Object.getOwnPropertyDescriptors(Network.prototype));
  const getters = members.filter(([, { get }]) => get !== undefined).map(([name]) => name);
  const methods = members.filter(([, { value }]) => typeof value === 'function').map(([name]) => name);

  it('is tried for every method there is', () => {
    expect(methods.sort()).toEqual([...Object.keys(CALLS), 'constructor', 'dispose'].sort());
    expect(getters.length + methods.length).toBe(members.length);
  });

  it.each(Object.entries(CALLS))('%s rejects', async (_, call) => {
    const network = await someNetwork();
    network.dispose();
    network.dispose();
    const again = call(network);
    expect(again).toBeInstanceOf(Promise);
    await expect(again).rejects.toMatchObject(DISPOSED);
  });

  it('of what is known without the thread still answers', async () => {
    const network = await someNetwork();
    const read = () => getters.map((name) => [name, network[name as keyof Network]]);
    const before = read();
    network.dispose();
    expect(read()).toEqual(before);
  });

  it('with every call in flight, all settle: what was begun as it may, the rest as disposed of', async () => {
    const network = await someNetwork();
    const first = network.trainEpoch(somePlan(20_000));
    const settled = Promise.allSettled([first, ...Object.values(CALLS).map((call) => call(network))]);
    network.dispose();
    for (const result of await settled)
      expect(result).toMatchObject({ status: 'rejected', reason: DISPOSED });
  });

  it('of a model rejects too', async () => {
    const network = await someNetwork();
    const parameters = await network.parameters();
    network.dispose();
    const vocabulary = Vocabulary.fromText('abcdefghijkl\n');
    const { vocabSize, hiddenSize } = SIZES;
    const content = { vocabSize, hiddenSize, candidateBias: false, parameters, state: undefined };
    const model = await LanguageModel.fromContent({ ...content, vocabulary, metadata: undefined });
    model.dispose();
    model.dispose();
    await expect(model.evaluate('abcabc')).rejects.toMatchObject(DISPOSED);
    await expect(model.generate('a')).rejects.toMatchObject(DISPOSED);
    await expect(model.generateAll(['a'])).rejects.toMatchObject(DISPOSED);
    await expect(model.stream('a').next()).rejects.toMatchObject(DISPOSED);
  });
});
