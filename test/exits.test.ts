/**
 * The end of processes and worker threads with networks in them: each is clean, by exit code, signal and what was
 * printed, and prompt. What is a matter of luck is done again and again, at other moments.
 */

import { describe, expect, it } from 'vitest';
import { clean, type Ended, node, threadScript } from './node-script.js';

const LONG = process.env.GRU_LONG !== undefined;
/** How often an end is tried. */
const TIMES = LONG ? 60 : 6;
/** Milliseconds between the moments of two tries: from before the network is filled to the middle of an update. */
const APART = 7;

/** Runs the script that `script` gives for each delay, two side by side, and gives how each ended. */
async function again(script: (delay: number) => string): Promise<Ended[]> {
  const ends: Ended[] = [];
  for (let i = 0; i < TIMES; i += 2) {
    ends.push(...(await Promise.all([i, i + 1].map((turn) => node(script((turn * APART) % 150))))));
  }
  return ends;
}

const all = (end: Ended): Ended[] => Array.from({ length: TIMES }, () => end);

/** Starts a training and does not wait. */
const BEGIN = `ready(); network.trainEpoch(plan).catch(() => console.log('rejected'));`;

describe('a process ends', { timeout: LONG ? 300_000 : 60_000 }, () => {
  it('when its networks have nothing to do', async () => {
    expect(await again(() => `ready().then(() => console.log('used'));`)).toEqual(all(clean('used\n')));
  });

  it('by process.exit during a run', async () => {
    const ends = await again((delay) => `${BEGIN} setTimeout(() => process.exit(7), ${delay});`);
    expect(ends).toEqual(all(clean('', 7)));
  });

  it('by process.exit in a progress callback', async () => {
    const script = `ready(); network.trainEpoch(plan, null, () => process.exit(8));`;
    expect(await again(() => script)).toEqual(all(clean('', 8)));
  });

  it('by process.exit with many networks at work', async () => {
    const script = (delay: number) => `
      const many = Array.from({ length: 6 }, () => new Network(sizes));
      for (const one of many) { fill(one); one.trainEpoch(plan); one.parameters(); }
      setTimeout(() => process.exit(9), ${delay});`;
    expect(await again(script)).toEqual(all(clean('', 9)));
  });

  it('by an uncaught exception, or a rejection, during a run', async () => {
    const ends = await again((delay) => {
      const failing = delay % 2 === 0 ? `throw new Error('ours')` : `Promise.reject(new Error('ours'))`;
      return `${BEGIN} setTimeout(() => { ${failing}; }, ${delay});`;
    });
    for (const { code, signal, output } of ends) {
      expect({ code, signal }).toEqual({ code: 1, signal: null });
      expect(output).toMatch(/Error: ours\n[\s\S]*\n\nNode\.js v[\d.]+\n$/);
      expect(output).not.toMatch(/panick|fatal|^rejected$/im);
    }
  });

  it('by dispose during a run, or in a progress callback', async () => {
    const disposed = clean('GRU_DISPOSED\n');
    const during = await again((delay) => {
      return `ready(); network.trainEpoch(plan).catch((e) => console.log(e.code)); setTimeout(() => network.dispose(), ${delay});`;
    });
    expect(during).toEqual(all(disposed));
    const within = `
      ready();
      const ended = network.trainEpoch(plan, null, () => { network.dispose(); network.dispose(); });
      ended.catch((e) => console.log(e.code));`;
    expect(await again(() => within)).toEqual(all(disposed));
  });
});

describe('a process', () => {
  it('lives for a promise, and for no longer', async () => {
    const script = `ready().then(() => network.trainEpoch(short, null, () => {})).then((r) => console.log(r.stopped));`;
    expect(await node(script)).toEqual(clean('completed\n'));
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
});

/** What a script with worker threads begins with: `begin` starts one that trains, `message` waits for its word. */
const WORKERS = `
  const { Worker } = require('node:worker_threads');
  const begin = (script) => new Worker(script, { eval: true });
  const message = (worker) => new Promise((resolve) => worker.once('message', resolve));
  const trains = ${threadScript(`run().then(() => require('node:worker_threads').parentPort.postMessage('runs'));`)};
  const begins = ${threadScript(BEGIN)};
`;

describe('a worker thread', { timeout: LONG ? 300_000 : 60_000 }, () => {
  it('is terminated during a run, which ends its networks and no others', async () => {
    const script = `${WORKERS}
      const before = threads('gru-');
      const one = async (turn) => {
        const worker = begin(turn % 2 ? trains : begins);
        if (turn % 2) await message(worker);
        else await pause(turn * 3);
        await worker.terminate();
        return threads('gru-') - before;
      };
      (async () => {
        await ready();
        const ends = new Set();
        for (let turn = 0; turn < ${2 * TIMES}; turn += 1) ends.add(await one(turn));
        console.log([...ends].sort(), (await network.forward(Uint32Array.of(1))).logits.length);
      })();`;
    expect(await node(script, { seconds: 120 })).toEqual(clean('[ 0 ] 50\n'));
  });

  it('is terminated beside many others', async () => {
    const script = `${WORKERS}
      const before = threads('gru-');
      (async () => {
        for (let round = 0; round < ${Math.ceil(TIMES / 3)}; round += 1) {
          const workers = Array.from({ length: 8 }, () => begin(begins));
          await pause(100 + 20 * round);
          await Promise.all(workers.map((worker) => worker.terminate()));
        }
        console.log(await left('gru-', before) - before);
      })();`;
    expect(await node(script, { seconds: 120 })).toEqual(clean('0\n'));
  });

  it('exits, or fails, by itself during a run', async () => {
    const ends = (script: string) => threadScript(`${BEGIN} setTimeout(() => { ${script} }, 60);`);
    const script = `${WORKERS}
      const before = threads('gru-');
      const one = (text) => new Promise((resolve) => {
        const seen = [];
        const worker = begin(text);
        worker.on('error', (error) => seen.push(error.message));
        worker.on('exit', (code) => resolve([code, ...seen].join(' ')));
      });
      (async () => {
        for (const text of [${ends('process.exit(3);')}, ${ends(`throw new Error('ours');`)}]) {
          const ends = new Set();
          for (let turn = 0; turn < ${Math.ceil(TIMES / 2)}; turn += 1) ends.add(await one(text));
          console.log([...ends], threads('gru-') - before);
        }
      })();`;
    expect(await node(script, { seconds: 120 })).toEqual(clean(`[ '3' ] 0\n[ '1 ours' ] 0\n`));
  });

  it('trains when its process exits', async () => {
    const ends = await again(
      (delay) => `${WORKERS}
      const workers = Array.from({ length: 3 }, () => begin(begins));
      ${BEGIN}
      setTimeout(() => process.exit(4), 80 + ${delay});`,
    );
    expect(ends).toEqual(all(clean('', 4)));
  });
});
