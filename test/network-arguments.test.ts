/** Wrong arguments of the native class: each gives an error with a code that says what was expected and received. */

import { describe, expect, it } from 'vitest';
import { type EpochPlan, Generation, Network, type NetworkOptions } from '../src/native.js';
import { failure, SIZES, someNetwork, somePlan } from './network-fixture.js';

describe('wrong arguments', () => {
  const whole = 'a whole number from 1 to 2147483647';
  it.each<[string, object | undefined, string, string]>([
    ['no options', undefined, 'GRU_USAGE', `expected ${whole} as vocabSize, received undefined`],
    ['a text', { vocabSize: '13' }, 'GRU_USAGE', `expected ${whole} as vocabSize, received "13"`],
    ['zero', { vocabSize: 0 }, 'GRU_USAGE', `expected ${whole} as vocabSize, received 0`],
    ['a negative size', { hiddenSize: -1 }, 'GRU_USAGE', `expected ${whole} as hiddenSize, received -1`],
    ['a broken size', { batchSize: 1.5 }, 'GRU_USAGE', `expected ${whole} as batchSize, received 1.5`],
    ['NaN', { numSteps: Number.NaN }, 'GRU_USAGE', `expected ${whole} as numSteps, received NaN`],
    ['infinity', { numSteps: Infinity }, 'GRU_USAGE', `expected ${whole} as numSteps, received Infinity`],
    ['2^31', { numSteps: 2 ** 31 }, 'GRU_USAGE', `expected ${whole} as numSteps, received 2147483648`],
    [
      'a huge product',
      { hiddenSize: 1e9 },
      'GRU_USAGE',
      'expected vocabSize * 3 * hiddenSize from 1 to 2147483647',
    ],
    ['no threads', { threads: 0 }, 'GRU_USAGE', `expected ${whole} as threads, received 0`],
    ['a host of threads', { threads: 5000 }, 'GRU_USAGE', 'expected threads from 1 to 1024, received 5000'],
    [
      'a bias in words',
      { candidateBias: 'no' },
      'GRU_USAGE',
      'expected a boolean as candidateBias, received "no"',
    ],
    ['a device in figures', { device: 0 }, 'GRU_USAGE', 'expected a string as device, received 0'],
    ['no device', { device: 'cuda:' }, 'GRU_USAGE', 'expected cpu, cuda or cuda:N as device, received cuda:'],
    ['a signed GPU', { device: 'cuda:+1' }, 'GRU_USAGE', 'expected cpu, cuda or cuda:N as device'],
    [
      'tf32 on the CPU',
      { precision: 'tf32' },
      'GRU_USAGE',
      'expected fp32 or bf16 as precision on the CPU, received tf32',
    ],
    [
      'a precision that GPUs lack',
      { precision: 'fp32-exact', device: 'cuda' },
      'GRU_USAGE',
      'expected fp32, tf32 or bf16 as precision on a GPU, received fp32-exact',
    ],
    [
      'a corpus without end',
      { corpusLength: 2 ** 31 },
      'GRU_USAGE',
      'expected a whole number from 0 to 2147483647 as corpusLength, received 2147483648',
    ],
  ])('of the constructor: %s', (_, changes, code, message) => {
    const options = changes && { ...SIZES, ...changes };
    const error = failure(() => new Network(options as NetworkOptions));
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) });
  });

  it('a GPU that is not there refuses every call', async () => {
    const network = new Network({ ...SIZES, device: 'cuda:7' });
    const refusal = { code: 'GRU_DEVICE', message: expect.stringContaining('expected ') };
    await expect(network.ready()).rejects.toMatchObject(refusal);
    await expect(network.parameters()).rejects.toMatchObject(refusal);
    expect(network).toMatchObject({ device: 'cuda:7', gpu: null, cpuPath: null });
    network.dispose();
    await expect(network.ready()).rejects.toMatchObject({ code: 'GRU_DISPOSED' });
  });

  const plan = somePlan(2);
  const refused: [call: (network: Network) => Promise<unknown>, message: string][] = [
    [(n) => n.initialize(-1, 0.1), 'expected a whole number from 0 to 9007199254740991 as seed, received -1'],
    [(n) => n.initialize(2 ** 53, 0.1), 'as seed, received 9007199254740992'],
    [(n) => n.initialize(0, -0.1), 'expected a finite number of at least 0 as initScale, received -0.1'],
    [(n) => n.initialize(0, Number.NaN), 'as initScale, received NaN'],
    [(n) => n.initialize(0, 1e300), 'expected finite numbers in parameters'],
    [(n) => n.loadCorpus([0, 1] as never), 'expected a Uint32Array as ids, received an object'],
    [
      (n) => n.loadCorpus(new Int32Array(3) as never),
      'expected a Uint32Array as ids, received an Int32Array of 3',
    ],
    [(n) => n.loadCorpus(Uint32Array.of(1)), 'expected 2 to 2147483647 elements in ids, received 1'],
    [
      (n) => n.loadCorpus(Uint32Array.of(1, 13)),
      'expected ids below vocabSize 13 in ids, received 13 at index 1',
    ],
    [
      (n) => new Network({ ...SIZES, threads: n.threads }).trainEpoch(plan),
      'expected a corpus, received none',
    ],
    [(n) => n.writeModel(5 as never, '', true), 'expected a string as path, received 5'],
    [(n) => n.writeModel('', undefined as never, true), 'expected a string as metadata, received undefined'],
    [(n) => n.writeModel('', '', 1 as never), 'expected a boolean as withState, received 1'],
    [(n) => n.trainEpoch(5 as never), 'expected an Int32Array as starts, received undefined'],
    [(n) => n.trainEpoch({ ...plan, starts: new Float64Array(5) as never }), 'another typed array (Float64)'],
    [
      (n) => n.trainEpoch({ ...plan, starts: new Int32Array() }),
      'expected a multiple of batchSize 5 elements in starts',
    ],
    [(n) => n.trainEpoch({ ...plan, starts: new Int32Array(7) }), 'elements in starts, received 7'],
    [(n) => n.trainEpoch(starting(-3)), 'expected offsets of at least 0 in starts, received -3 at index 6'],
    [
      (n) => n.trainEpoch(starting(293)),
      'with numSteps 7 + 1 characters left of a corpus of 300 in starts, received 293',
    ],
    [(n) => n.trainEpoch({ ...starting(999), firstUpdate: 1 }), 'in starts, received 999 at index 6'],
    [
      (n) => n.trainEpoch({ ...plan, firstUpdate: 2 }),
      'expected a whole number from 0 to 1 as firstUpdate, received 2',
    ],
    [
      (n) => n.trainEpoch({ ...plan, numSteps: 8 }),
      'expected a whole number from 1 to 7 as numSteps, received 8',
    ],
    [
      (n) => n.trainEpoch({ ...plan, learningRate: [1, 1] as never }),
      'expected a Float32Array as learningRate',
    ],
    [
      (n) => n.trainEpoch({ ...plan, learningRate: new Float32Array(3) }),
      '2 elements in learningRate, received 3',
    ],
    [
      (n) => n.trainEpoch({ ...plan, learningRate: Float32Array.of(0, -1), firstUpdate: 1 }),
      'received -1 at index 1',
    ],
    [
      (n) => n.trainEpoch({ ...plan, maxGradNorm: 0 }),
      'expected a number above 0 in maxGradNorm, received 0',
    ],
    [
      (n) => n.trainEpoch({ ...plan, maxGradNorm: Number.NaN }),
      'expected a number as maxGradNorm, received NaN',
    ],
    [
      (n) => n.trainEpoch({ ...plan, carryState: 1 as never }),
      'expected a boolean as carryState, received 1',
    ],
    [(n) => n.trainEpoch(plan, {} as never), 'expected a CancelFlag as cancel, received an object'],
    [(n) => n.trainEpoch(plan, null, {} as never), 'expected a function as onProgress, received an object'],
    [(n) => n.evaluate({ ...plan, starts: starting(293).starts }), 'in starts, received 293'],
    [(n) => n.evaluate(plan, 'now' as never), 'expected a CancelFlag as cancel, received "now"'],
    [(n) => n.gradient({ ...starting(999), firstUpdate: 1 }), 'in starts, received 999 at index 6'],
    [(n) => n.forward(new Uint32Array()), 'elements in ids, received 0'],
    [(n) => n.forward(Uint32Array.of(77)), 'received 77 at index 0'],
    [(n) => n.forward(Uint32Array.of(1), new Float32Array()), 'expected 19 elements in state, received 0'],
    [
      (n) => n.forward(Uint32Array.of(1), Symbol() as never),
      'expected a Float32Array as state, received a symbol',
    ],
    [(n) => n.generate({} as never, 1), 'expected a Generation as generation, received an object'],
    [(n) => n.generate(undefined as never, 1), 'expected a Generation as generation, received undefined'],
    [(n) => n.generate(generation(), 0), 'expected a whole number from 1 to 65536 as count, received 0'],
    [(n) => n.generate(generation(), 65537), 'as count, received 65537'],
    [(n) => n.generate(generation(), 1, {} as never), 'expected a CancelFlag as cancel, received an object'],
    [
      (n) => n.generate(generation({ prefixes: [Uint32Array.of(1, 13)] }), 1),
      'expected ids below vocabSize 13 in ids, received 13 at index 1',
    ],
    [(n) => n.setParameters(new Float32Array(3)), 'expected 2141 elements in parameters, received 3'],
    [
      (n) => n.setParameters(new Float32Array(2141).fill(Number.NaN)),
      'in parameters, received NaN at index 0',
    ],
    [(n) => n.setState(new Float32Array(19)), 'expected 95 elements in state, received 19'],
    [
      (n) => n.setState(new Float32Array(95).fill(Infinity)),
      'expected finite numbers in state, received inf',
    ],
  ];
  it.each(refused.map(([call, message]) => ({ call, message })))(
    'of a method: $message',
    async ({ call, message }) => {
      const network = await someNetwork();
      const before = await network.parameters();
      const error: unknown = await call(network).then(
        () => 'no error',
        (error) => error,
      );
      expect(error).toBeInstanceOf(Error);
      expect(error).toMatchObject({ code: 'GRU_USAGE', message: expect.stringContaining(message) });
      expect(await network.parameters()).toEqual(before);
    },
  );

  /** The text of one prefix, with some options changed. */
  function generation(changes: object = {}): Generation {
    const sampling = { temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1 };
    return new Generation({ prefixes: [Uint32Array.of(1)], seeds: [0], ...sampling, ...changes });
  }

  it.each<[string, object]>([
    ['expected a list of 1 to 1024 as prefixes, received no list', { prefixes: undefined }],
    ['expected a list of 1 to 1024 as prefixes, received no list', { prefixes: { length: 3 } }],
    ['expected a list of 1 to 1024 as prefixes, received a list of 0', { prefixes: [] }],
    ['as prefixes, received a list of 4294967295', { prefixes: new Array(2 ** 32 - 1) }],
    ['expected a Uint32Array as a prefix, received an object', { prefixes: [[1]] }],
    ['expected a Uint32Array as a prefix, received undefined', { prefixes: new Array(1) }],
    ['expected at least 1 elements in a prefix, received 0', { prefixes: [new Uint32Array()] }],
    ['expected a list of 1 to 1024 as seeds, received no list', { seeds: 3 }],
    ['expected 1 elements in seeds, received 2', { seeds: [1, 2] }],
    ['expected a whole number from 0 to 9007199254740991 as a seed, received 0.5', { seeds: [0.5] }],
    ['expected a number as temperature, received NaN', { temperature: Number.NaN }],
    ['expected a finite number of at least 0 in temperature, received -1', { temperature: -1 }],
    ['expected a whole number from 0 to 9007199254740991 as topK, received -1', { topK: -1 }],
    ['expected a number above 0 and at most 1 in topP, received 1.5', { topP: 1.5 }],
    ['expected a finite number above 0 in repetitionPenalty, received 0', { repetitionPenalty: 0 }],
  ])('of texts: %s', (message, changes) => {
    const error = failure(() => generation(changes));
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ code: 'GRU_USAGE', message: expect.stringContaining(message) });
  });

  it('texts of another network are refused', async () => {
    const [network, other] = [await someNetwork(), await someNetwork({ hiddenSize: 20 })];
    const texts = generation();
    await network.generate(texts, 1);
    await expect(other.generate(texts, 1)).rejects.toMatchObject({ code: 'GRU_USAGE' });
    expect((await network.generate(texts, 3)).characters).toBe(3);
    for (const each of [network, other]) each.dispose();
  });

  it('leave a getter its own exception', async () => {
    const network = new Network(SIZES);
    const hostile = {
      get starts(): never {
        throw new RangeError('mine');
      },
    };
    expect(() => network.trainEpoch(hostile as never)).toThrow(RangeError);
  });

  /** A plan whose start 6, of lane 1 of update 1, is given. */
  function starting(start: number): EpochPlan {
    const starts = plan.starts.slice();
    starts[6] = start;
    return { ...plan, starts };
  }
});
