/** A network beside the event loop and at the end of things: cancelling, progress, disposal, exits. */

import { execFile } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import {
  addonPath,
  CancelFlag,
  type EpochPlan,
  type EpochProgress,
  Generation,
  Network,
} from '../src/native.js';
import { someIds } from './network-fixture.js';

/** The sizes of the book chapter's run. */
const CHAPTER = { vocabSize: 1465, hiddenSize: 256, batchSize: 32, numSteps: 35 };

/** More updates than any test waits for. */
const ENDLESS: EpochPlan = {
  starts: new Int32Array(100_000 * CHAPTER.batchSize),
  numSteps: 35,
  learningRate: new Float32Array(100_000).fill(0.1),
  maxGradNorm: 5,
  carryState: false,
};

async function chapterNetwork(): Promise<Network> {
  const network = new Network(CHAPTER);
  await network.initialize(0, 0.01);
  await network.loadCorpus(someIds(10_000, CHAPTER.vocabSize));
  return network;
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const DISPOSED = { code: 'GRU_DISPOSED', message: expect.stringContaining('disposed of') };

describe('cancelling', () => {
  it('ends a run within a second, with the updates it did', async () => {
    const network = await chapterNetwork();
    const before = await network.parameters();
    const flag = new CancelFlag();
    const running = network.trainEpoch(ENDLESS, flag);
    await pause(300);
    const asked = performance.now();
    flag.cancel();
    const result = await running;
    expect(performance.now() - asked).toBeLessThan(1000);
    expect(result.stopped).toBe('cancelled');
    expect(result.updates).toBeGreaterThan(0);
    expect([result.lossSum.length, result.gradientNorm.length]).toEqual([result.updates, result.updates]);
    expect(await network.parameters()).not.toEqual(before);
    network.dispose();
  });

  it('works for its own command only, and before its turn', async () => {
    const network = await chapterNetwork();
    const [first, second] = [new CancelFlag(), new CancelFlag()];
    const evaluated = network.evaluate(ENDLESS, first);
    const trained = network.trainEpoch(ENDLESS, second);
    second.cancel();
    await pause(100);
    first.cancel();
    expect(await evaluated).toMatchObject({ stopped: 'cancelled' });
    expect(await trained).toMatchObject({ stopped: 'cancelled', updates: 0, lossSum: new Float64Array() });
    network.dispose();
  });
});

describe('writing', () => {
  const sampling = { temperature: 1, topK: 40, topP: 1, repetitionPenalty: 1.1 };
  const texts = () => {
    return new Generation({
      prefixes: [Uint32Array.of(1, 2), Uint32Array.of(3)],
      seeds: [4, 5],
      ...sampling,
    });
  };

  it('is cancelled between two characters, and goes on there', async () => {
    const network = await chapterNetwork();
    const [flag, stopped, whole] = [new CancelFlag(), texts(), texts()];
    const writing = network.generate(stopped, 65_536, flag);
    await pause(50);
    flag.cancel();
    const first = await writing;
    expect(first.characters).toBeLessThan(65_536);
    expect(first.ids.length).toBe(2 * first.characters);
    expect(await network.generate(stopped, 5, flag)).toEqual({ ids: new Uint32Array(), characters: 0 });
    const rest = await network.generate(stopped, 50);
    const ids = [...first.ids, ...rest.ids];
    expect(Array.from((await network.generate(whole, first.characters + 50)).ids)).toEqual(ids);
    network.dispose();
  });

  it('ends when the network is disposed of', async () => {
    const network = await chapterNetwork();
    const writing = network.generate(texts(), 65_536);
    await pause(50);
    network.dispose();
    await expect(writing).rejects.toMatchObject(DISPOSED);
  });
});

describe('while a run goes on', () => {
  it('progress comes at intervals and adds up', async () => {
    const network = await chapterNetwork();
    const flag = new CancelFlag();
    const seen: (EpochProgress & { at: number })[] = [];
    const result = await network.trainEpoch(ENDLESS, flag, (progress) => {
      seen.push({ ...progress, at: performance.now() });
      if (seen.length === 4) flag.cancel();
    });
    expect(seen.length).toBeGreaterThanOrEqual(4);
    for (const { updates, lossSum, tokens } of seen) {
      expect(tokens).toBe(updates * result.tokens);
      expect(lossSum).toBe(result.lossSum.subarray(0, updates).reduce((total, loss) => total + loss, 0));
    }
    const counts = seen.map((progress) => progress.updates);
    expect(counts).toEqual([...new Set(counts)].sort((a, b) => a - b));
    expect((seen[3]?.at ?? 0) - (seen[0]?.at ?? 0)).toBeGreaterThan(250);
    network.dispose();
  });

  // The machine may be busy with other things, which shows as slip too.
  it('the event loop stays free', { retry: 3 }, async () => {
    const network = await chapterNetwork();
    const flag = new CancelFlag();
    const running = network.trainEpoch(ENDLESS, flag);
    const slips: number[] = [];
    for (const began = performance.now(); performance.now() - began < 1000; ) {
      const asked = performance.now();
      await pause(10);
      slips.push(performance.now() - asked - 10);
    }
    flag.cancel();
    expect((await running).updates).toBeGreaterThan(0);
    expect(slips.length).toBeGreaterThan(20);
    expect(Math.max(...slips)).toBeLessThan(100);
    network.dispose();
  });
});

describe('disposing', () => {
  it('stops what runs and refuses what waits and what comes', async () => {
    const network = await chapterNetwork();
    const pending = [network.trainEpoch(ENDLESS), network.forward(Uint32Array.of(1)), network.parameters()];
    const settled = Promise.allSettled(pending);
    await pause(100);
    const asked = performance.now();
    network.dispose();
    network.dispose();
    for (const { status, reason } of (await settled) as PromiseRejectedResult[]) {
      expect(status).toBe('rejected');
      expect(reason).toBeInstanceOf(Error);
      expect(reason).toMatchObject(DISPOSED);
    }
    expect(performance.now() - asked).toBeLessThan(1000);
    await expect(network.state()).rejects.toMatchObject(DISPOSED);
    await expect(network.initialize(0, 0.1)).rejects.toMatchObject(DISPOSED);
    await expect(network.evaluate(ENDLESS)).rejects.toMatchObject(DISPOSED);
    await expect(network.initialize(-1, 0.1)).rejects.toMatchObject({ code: 'GRU_USAGE' });
    expect(network.hiddenSize).toBe(256);
  });
});

/** What the scripts below begin with; `run` starts a training without an end and waits until it runs. */
const PRELUDE = `
  const { CancelFlag, Network } = require(${JSON.stringify(addonPath)});
  const network = new Network({ vocabSize: 50, hiddenSize: 64, batchSize: 8, numSteps: 35, threads: 2 });
  const { readdirSync, readFileSync } = require('node:fs');
  const name = (thread) => { try { return readFileSync('/proc/self/task/' + thread + '/comm', 'utf8'); } catch { return ''; } };
  const networks = () => readdirSync('/proc/self/task').filter((thread) => name(thread) === 'gru-network\\n').length;
  const starts = new Int32Array(8 * 500_000);
  const plan = { starts, numSteps: 35, learningRate: new Float32Array(500_000), maxGradNorm: 5, carryState: false };
  const ready = () => Promise.all([network.initialize(0, 0.1), network.loadCorpus(new Uint32Array(100))]);
  const run = async () => {
    await ready();
    return new Promise((started) => {
      const ended = network.trainEpoch(plan, null, () => started({ ended }));
    });
  };
`;

/** Runs a script in a Node of its own, which is killed if it has not ended after 10 s. */
function node(
  script: string,
  ...flags: string[]
): Promise<{ code: unknown; signal: unknown; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...flags, '-e', PRELUDE + script],
      { timeout: 10_000, killSignal: 'SIGKILL' },
      (_, stdout, stderr) =>
        resolve({ code: child.exitCode, signal: child.signalCode, output: stdout + stderr }),
    );
  });
}

const clean = (output: string, code = 0) => ({ code, signal: null, output });

describe('a process', () => {
  it('ends when its networks have nothing to do', async () => {
    expect(await node(`ready().then(() => console.log('used'));`)).toEqual(clean('used\n'));
  });

  it('lives for a promise, and for no longer', async () => {
    const short =
      '{ ...plan, starts: starts.subarray(0, 800), learningRate: plan.learningRate.subarray(0, 100) }';
    const script = `ready().then(() => network.trainEpoch(${short}, null, () => {})).then((r) => console.log(r.stopped));`;
    expect(await node(script)).toEqual(clean('completed\n'));
  });

  it('can exit during a run', async () => {
    expect(await node(`run().then(() => process.exit(7));`)).toEqual(clean('', 7));
  });

  it('can dispose during a run', async () => {
    const script = `run().then(({ ended }) => { network.dispose(); ended.catch((e) => console.log(e.code)); });`;
    expect(await node(script)).toEqual(clean('GRU_DISPOSED\n'));
  });

  it('can terminate a worker thread during a run, which ends its networks', async () => {
    const thread = `${PRELUDE} run().then(() => require('node:worker_threads').parentPort.postMessage('runs'));`;
    const script = `
      const { Worker } = require('node:worker_threads');
      const one = async () => {
        const worker = new Worker(${JSON.stringify(thread)}, { eval: true });
        await new Promise((resolve) => worker.once('message', resolve));
        console.log(await worker.terminate(), process.platform === 'linux' ? networks() : 1);
      };
      ready().then(one).then(one).then(() => network.forward(Uint32Array.of(1))).then((r) => console.log(r.logits.length));
    `;
    expect(await node(script)).toEqual(clean('1 1\n1 1\n50\n'));
  });

  it('sees what a progress callback throws as an uncaught exception, and the run goes on', async () => {
    const script = `
      const flag = new CancelFlag();
      process.once('uncaughtException', (error) => { console.log(error.message); flag.cancel(); });
      let thrown = false;
      const progress = () => { if (!thrown) { thrown = true; throw new Error('from the callback'); } };
      ready().then(() => network.trainEpoch(plan, flag, progress)).then((r) => console.log(r.stopped));
    `;
    expect(await node(script)).toEqual(clean('from the callback\ncancelled\n'));
  });

  it.runIf(process.platform === 'linux')('frees forgotten networks, keeping their promises', async () => {
    const script = `
      const options = { vocabSize: 5, hiddenSize: 4, batchSize: 1, numSteps: 2, threads: 1 };
      const promises = Array.from({ length: 50 }, () => new Network(options).initialize(0, 0.1));
      const until = async (count) => {
        for (let i = 0; i < 200 && networks() !== count; i++) {
          gc();
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        return networks();
      };
      (async () => {
        // A thread that a network has just started bears the network's name until it has its own.
        console.log(networks() >= 51);
        const left = await until(1);
        console.log((await Promise.all(promises)).length, left);
      })();
    `;
    expect(await node(script, '--expose-gc')).toEqual(clean('true\n50 1\n'));
  });
});
