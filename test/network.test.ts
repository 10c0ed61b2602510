/** The native class through the built addon, method by method. The arithmetic itself is tested in gru-core. */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CancelFlag, Network, native } from '../src/native.js';
import { CORPUS_LENGTH, failure, SIZES, someIds, someNetwork, somePlan } from './network-fixture.js';

/** An empty folder, removed when the test ends. */
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'gru-native-network-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

const sum = (numbers: Float64Array) => numbers.reduce((total, number) => total + number, 0);

describe('a network', () => {
  it('tells its sizes and where its parameters lie', () => {
    const network = new Network({ ...SIZES, threads: 3, candidateBias: true, device: 'cpu' });
    expect(network).toMatchObject({ ...SIZES, threads: 3, candidateBias: true, device: 'cpu' });
    expect(network.parameterTensors).toEqual([
      { name: 'W_x', rows: 13, columns: 57, offset: 0 },
      { name: 'W_h', rows: 19, columns: 57, offset: 741 },
      { name: 'b', rows: 1, columns: 57, offset: 1824 },
      { name: 'b_q', rows: 1, columns: 19, offset: 1881 },
      { name: 'W_y', rows: 19, columns: 13, offset: 1900 },
      { name: 'b_y', rows: 1, columns: 13, offset: 2147 },
    ]);
    expect(network.parameterCount).toBe(2160);
    const plain = new Network(SIZES);
    expect(plain).toMatchObject({ candidateBias: false, device: 'cpu', threads: native.availableThreads() });
    expect(plain.parameterCount).toBe(2160 - 19);
  });

  it('draws the same parameters from the same seed, biases zero', async () => {
    const network = new Network(SIZES);
    expect(new Set(await network.parameters())).toEqual(new Set([0]));
    await network.initialize(7, 0.01);
    const drawn = await network.parameters();
    await network.initialize(8, 0.01);
    expect(await network.parameters()).not.toEqual(drawn);
    await network.initialize(7, 0.01);
    expect(await network.parameters()).toEqual(drawn);
    expect(new Set(drawn.subarray(1824, 1881))).toEqual(new Set([0]));
    const weights = drawn.subarray(0, 1824);
    const deviation = Math.sqrt(
      weights.reduce((total, weight) => total + weight * weight, 0) / weights.length,
    );
    expect(deviation).toBeGreaterThan(0.009);
    expect(deviation).toBeLessThan(0.011);
    await network.initialize(Number.MAX_SAFE_INTEGER, 0);
    expect(new Set(await network.parameters())).toEqual(new Set([0]));
  });

  it('trains: losses fall and every update is reported', async () => {
    const network = await someNetwork();
    const result = await network.trainEpoch(somePlan(200, { learningRate: new Float32Array(200).fill(0.5) }));
    expect(result).toMatchObject({ updates: 200, tokens: 35, stopped: 'completed' });
    expect(result.lossSum).toBeInstanceOf(Float64Array);
    expect([result.lossSum.length, result.gradientNorm.length]).toEqual([200, 200]);
    expect((result.lossSum[0] ?? 0) / 35).toBeCloseTo(Math.log(13), 0);
    expect(sum(result.lossSum.subarray(150))).toBeLessThan(0.5 * sum(result.lossSum.subarray(0, 50)));
    expect(result.gradientNorm.every((norm) => norm > 0)).toBe(true);
    expect(result.seconds).toBeGreaterThan(0);
  });

  it('takes the step that the gradient, the rate and the clipping say', async () => {
    const network = await someNetwork();
    const plan = somePlan(1, { maxGradNorm: 0.25 });
    const before = await network.parameters();
    const { lossSum, tokens, gradientNorm, gradient } = await network.gradient(plan);
    expect(await network.parameters()).toEqual(before);
    const result = await network.trainEpoch(plan);
    expect([[...result.lossSum], [...result.gradientNorm], result.tokens]).toEqual([
      [lossSum],
      [gradientNorm],
      tokens,
    ]);
    expect(Math.hypot(...gradient)).toBeCloseTo(gradientNorm, 5);
    const after = await network.parameters();
    const scale = 0.5 * Math.min(1, 0.25 / gradientNorm);
    const apart = after.map((value, i) => Math.abs(value - ((before[i] ?? 0) - scale * (gradient[i] ?? 0))));
    expect(Math.max(...apart)).toBeLessThan(1e-7);
    expect(after).not.toEqual(before);
  });

  it('begins at firstUpdate, and two parts of an epoch give what the whole gives', async () => {
    const [whole, parts] = [await someNetwork(), await someNetwork()];
    const expected = await whole.trainEpoch(somePlan(9));
    await parts.trainEpoch({ ...somePlan(4), learningRate: somePlan(9).learningRate.slice(0, 4) });
    const rest = await parts.trainEpoch(somePlan(9, { firstUpdate: 4 }));
    expect(rest.updates).toBe(5);
    expect(rest.lossSum).toEqual(expected.lossSum.slice(4));
    expect(await parts.parameters()).toEqual(await whole.parameters());
    expect(await parts.state()).toEqual(await whole.state());
  });

  it('evaluates without learning, rates or not', async () => {
    const network = await someNetwork();
    const before = await network.parameters();
    const plan = somePlan(3, { learningRate: new Float32Array(), carryState: false });
    const result = await network.evaluate(plan);
    expect(result).toMatchObject({ updates: 3, tokens: 35, stopped: 'completed' });
    expect(result.gradientNorm).toEqual(new Float64Array(3));
    expect(await network.parameters()).toEqual(before);
    const trained = await network.trainEpoch(
      somePlan(3, { learningRate: new Float32Array(3), carryState: false }),
    );
    expect(trained.lossSum).toEqual(result.lossSum);
  });

  it('carries the hidden state or zeroes it', async () => {
    const network = await someNetwork();
    const rates = { learningRate: new Float32Array(1) };
    const fresh = (await network.trainEpoch(somePlan(1, { ...rates, carryState: true }))).lossSum;
    const state = await network.state();
    expect(state).toHaveLength(5 * 19);
    expect(state.every((unit) => unit !== 0)).toBe(true);
    const carried = (await network.evaluate(somePlan(1, { carryState: true }))).lossSum;
    const zeroed = (await network.evaluate(somePlan(1, { carryState: false }))).lossSum;
    expect(zeroed).toEqual(fresh);
    expect(carried).not.toEqual(fresh);
    await network.setState(state);
    expect(await network.state()).toEqual(state);
    expect((await network.evaluate(somePlan(1, { carryState: true }))).lossSum).toEqual(carried);
  });

  it('runs forward step by step as in one go, and leaves the carried state alone', async () => {
    const network = await someNetwork();
    const { logits, state } = await network.forward(Uint32Array.of(3, 1, 12));
    expect([logits.length, state.length]).toEqual([39, 19]);
    let last = await network.forward(Uint32Array.of(3), null);
    last = await network.forward(Uint32Array.of(1), last.state);
    last = await network.forward(Uint32Array.of(12), last.state);
    expect(last.state).toEqual(state);
    expect(last.logits).toEqual(logits.slice(26));
    expect(new Set(await network.state())).toEqual(new Set([0]));
  });

  it('stops before an update that is not finite', async () => {
    const network = await someNetwork();
    await network.trainEpoch(somePlan(1));
    const before = await network.parameters();
    before[1900 - 19] = 3e38; // of W_y: a logit overflows
    before[1901 - 19] = 3e38;
    await network.setParameters(before);
    const rates = new Float32Array(2).fill(1);
    const result = await network.trainEpoch(somePlan(2, { learningRate: rates, maxGradNorm: Infinity }));
    expect(result.stopped).toBe('non-finite');
    expect([result.updates, result.lossSum.length, result.gradientNorm.length]).toEqual([0, 0, 0]);
    expect(await network.parameters()).toEqual(before);
  });

  it('gives the same bytes on any number of threads', async () => {
    const outcomes = [1, 2, 3, 4].map(async (threads) => {
      const network = await someNetwork({ threads, candidateBias: true });
      const { lossSum, gradientNorm } = await network.trainEpoch(somePlan(20));
      return { lossSum, gradientNorm, parameters: await network.parameters(), state: await network.state() };
    });
    const [first, ...others] = await Promise.all(outcomes);
    for (const other of others) expect(other).toEqual(first);
  });

  it('copies arrays in the call: what happens to them afterwards does no harm', async () => {
    const [calm, rough] = [await someNetwork(), await someNetwork()];
    const [ids, plan, flat] = [someIds(CORPUS_LENGTH, 13), somePlan(3), await calm.parameters()];
    const state = new Float32Array(95).fill(0.5);
    for (const network of [calm, rough]) {
      const arrays = [
        ids.slice(),
        plan.starts.slice(),
        plan.learningRate.slice(),
        flat.slice(),
        state.slice(),
      ];
      const [idsHere, starts, learningRate, flatHere, stateHere] = arrays as [
        Uint32Array,
        Int32Array,
        Float32Array,
        Float32Array,
        Float32Array,
      ];
      const calls = [
        network.loadCorpus(idsHere),
        network.setParameters(flatHere),
        network.setState(stateHere),
        network.trainEpoch({ ...plan, starts, learningRate }),
        network.forward(idsHere),
      ];
      if (network === rough) {
        for (const array of arrays) array.fill(1e6);
        structuredClone(arrays, { transfer: arrays.map((array) => array.buffer as ArrayBuffer) });
        expect(starts).toHaveLength(0);
        await expect(network.loadCorpus(idsHere)).rejects.toThrow('in ids, received 0');
      }
      await Promise.all(calls);
    }
    expect(await rough.parameters()).toEqual(await calm.parameters());
  });
});

describe('model files', () => {
  const parameters = Float32Array.from({ length: 2160 }, (_, i) => Math.sin(i) / 3);
  const model = { vocabSize: 13, hiddenSize: 19, candidateBias: true, parameters, metadata: '{"名":"夜曲"}' };

  it('come back as they went, with a state or without', () => {
    const bytes = native.encodeModel(model);
    expect(bytes).toBeInstanceOf(Uint8Array);
    expect(native.decodeModel(bytes)).toEqual(model);
    expect(native.encodeModel(model)).toEqual(bytes);
    const trainer = { ...model, state: new Float32Array(38).fill(0.25) };
    expect(native.decodeModel(Buffer.from(native.encodeModel(trainer)))).toEqual(trainer);
  });

  it.each([false, true])('are written by a network too, byte for byte, b_q %s', async (candidateBias) => {
    const network = await someNetwork({ candidateBias });
    await network.trainEpoch(somePlan(2));
    const path = join(folder(), '名 model');
    const { vocabSize, hiddenSize } = SIZES;
    const written = {
      ...{ vocabSize, hiddenSize, candidateBias, metadata: model.metadata },
      parameters: await network.parameters(),
    };
    await network.writeModel(path, model.metadata, false);
    expect(readFileSync(path).equals(native.encodeModel(written))).toBe(true);
    await network.writeModel(`${path}2`, model.metadata, true);
    const trainer = native.encodeModel({ ...written, state: await network.state() });
    expect(readFileSync(`${path}2`).equals(trainer)).toBe(true);
    // What is queued meanwhile comes after: parameters and state are those of one moment.
    const zeros = new Float32Array(network.parameterCount);
    const writing = network.writeModel(`${path}3`, model.metadata, true);
    await Promise.all([writing, network.trainEpoch(somePlan(3)), network.setParameters(zeros)]);
    expect(readFileSync(`${path}3`).equals(trainer)).toBe(true);
    network.dispose();
    await expect(network.writeModel(`${path}4`, '', true)).rejects.toMatchObject({ code: 'GRU_DISPOSED' });
    expect(existsSync(`${path}4`)).toBe(false);
  });

  it('are written only where nothing is, and the system says what else is wrong', async () => {
    const network = await someNetwork();
    const path = folder();
    writeFileSync(join(path, 'file'), 'as it was');
    for (const [name, code] of [
      ['file', 'EEXIST'],
      ['.', 'EEXIST'],
      ['none/file', 'ENOENT'],
      ['file/file', 'ENOTDIR'],
      ['x'.repeat(300), 'ENAMETOOLONG'],
      ['a\0b', 'EINVAL'],
    ] as const) {
      const writing = network.writeModel(join(path, name), '', false);
      await expect(writing, name).rejects.toMatchObject({
        code,
        message: expect.stringMatching(`^${code}: `),
      });
    }
    expect(readFileSync(join(path, 'file'), 'utf8')).toBe('as it was');
    expect(readdirSync(path)).toEqual(['file']);
    await network.writeModel(join(path, 'new'), '', false); // it still can
  });

  it('are refused when damaged', () => {
    const bytes = native.encodeModel(model);
    const damaged = bytes.slice();
    damaged.fill(0xff, damaged.length - 4);
    for (const wrong of [new Uint8Array(), bytes.subarray(0, -1), bytes.subarray(1), damaged]) {
      expect(failure(() => native.decodeModel(wrong))).toMatchObject({ code: 'GRU_MODEL' });
    }
  });

  it.each<[code: string, message: string, changes: object]>([
    ['GRU_USAGE', 'expected 2160 elements in parameters, received 2159', { parameters: parameters.slice(1) }],
    ['GRU_USAGE', 'as vocabSize, received 0', { vocabSize: 0 }],
    ['GRU_USAGE', 'expected vocabSize * 3 * hiddenSize from 1 to 2147483647', { hiddenSize: 2 ** 31 - 1 }],
    ['GRU_USAGE', 'expected a string as metadata, received undefined', { metadata: undefined }],
    ['GRU_MODEL', 'expected a state of rows of 19, received 20', { state: new Float32Array(20) }],
  ])('are not made of wrong contents: %s, %s', (code, message, changes) => {
    const encode = () => native.encodeModel({ ...model, ...changes } as typeof model);
    expect(failure(encode)).toMatchObject({ code, message: expect.stringContaining(message) });
    expect(failure(() => native.decodeModel('bytes' as never))).toMatchObject({ code: 'GRU_USAGE' });
  });
});

describe('the rest', () => {
  it('tells what the machine and the build offer', () => {
    expect(native.availableThreads()).toBeGreaterThan(0);
    const known = ['avx2', 'fma', 'avx512f', 'avx512bf16', 'neon'];
    expect(native.cpuFeatures().filter((feature) => !known.includes(feature))).toEqual([]);
    expect(native.version()).toMatch(/^\d+\.\d+\.\d+/);
  });

  it('has flags that remember', () => {
    const flag = new CancelFlag();
    expect(flag.cancelled).toBe(false);
    flag.cancel();
    flag.cancel();
    expect(flag.cancelled).toBe(true);
  });
});
