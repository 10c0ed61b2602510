/** Programs that train the same job: they run in processes of their own and talk as bench/peers/job.py says. */

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { ROOT } from './machine.mjs';
import { Failure, UsageError } from './options.mjs';
import { NetworkRun } from './ours.mjs';
import { summary } from './statistics.mjs';

/** @typedef {import('./jobs.mjs').Job} Job */

/** The peers in PyTorch. */
export const TORCH_PEERS = ['torch_gru.py', 'torch_tuned.py'];

/** Threads that have just done their work may spin for a while in case of more; they get this long to sleep. */
const SETTLING_MS = 500;
/** Lines of a peer's messages that are shown when it fails. */
const SHOWN_LINES = 5;

/**
 * @param {string} python
 * @throws UsageError when it cannot import torch
 */
export function requireTorch(python) {
  const { error, status, stderr } = spawnSync(python, ['-c', 'import torch'], { encoding: 'utf8' });
  if (status === 0) return;
  const received = error?.message ?? stderr.trim().split('\n').at(-1);
  throw new UsageError(`expected a Python with torch for --vs-torch, received ${python}: ${received}`);
}

/** One peer's process. */
class Peer {
  #child;
  #answers;
  #folder;
  #messages = '';

  /**
   * @param {string} python
   * @param {string} file
   * @param {Job} job
   * @param {number} threads
   */
  constructor(python, file, job, threads) {
    this.#folder = mkdtempSync(join(tmpdir(), 'gru-native-bench-'));
    const ids = join(this.#folder, 'ids');
    const bytes = Buffer.alloc(job.ids.length * 4);
    for (const [index, id] of job.ids.entries()) bytes.writeUInt32LE(id, index * 4);
    writeFileSync(ids, bytes);
    const sizes = { vocab: job.vocabSize, hidden: job.hiddenSize, batch: job.batchSize, steps: job.numSteps };
    const args = Object.entries({ ids, ...sizes, threads }).flatMap(([name, value]) => [
      `--${name}`,
      `${value}`,
    ]);
    this.#child = spawn(python, [join(ROOT, 'bench/peers', file), ...args], {
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    });
    this.#child.on('error', (error) => {
      this.#messages = error.message;
    });
    this.#child.stdin.on('error', () => {}); // a peer that is gone shows itself by not answering
    this.#child.stderr.setEncoding('utf8').on('data', (text) => {
      this.#messages += text;
    });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** The next line that the peer says, after it was told something or has started. */
  async answer(/** @type {string | undefined} */ request = undefined) {
    if (request !== undefined) this.#child.stdin.write(`${request}\n`);
    const { value, done } = await this.#answers.next();
    if (!done) return JSON.parse(value);
    const last = this.#messages.trim().split('\n').slice(-SHOWN_LINES).join('\n');
    throw new Failure(`expected an answer of ${this.#child.spawnargs.join(' ')}, received its end:\n${last}`);
  }

  async close() {
    const running =
      this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
    const ended = running ? new Promise((resolve) => this.#child.once('exit', resolve)) : undefined;
    this.#child.stdin.end();
    const overdue = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(overdue);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/**
 * Trains the same job on our side and on a peer's, in turns, and compares each of our turns with the peer's
 * that follows it.
 *
 * @param {string} python
 * @param {string} file one of {@link TORCH_PEERS}
 * @param {Job} job
 * @param {{ threads: number, epochs: number, repeats: number }} options `epochs` a turn, `repeats` turns each
 */
export async function compareWith(python, file, job, { threads, epochs, repeats }) {
  const peer = new Peer(python, file, job, threads);
  const ours = await NetworkRun.start(job, threads);
  try {
    const { ready: _ready, ...about } = await peer.answer();
    await peer.answer('epochs 1'); // to warm up
    const pairs = [];
    let peerPerplexity = Number.NaN;
    for (let turn = 0; turn < repeats; turn += 1) {
      await pause(SETTLING_MS);
      const ourSeconds = summary(await ours.epochs(epochs)).median;
      await pause(SETTLING_MS);
      const { seconds, perplexity } = await peer.answer(`epochs ${epochs}`);
      const peerSeconds = summary(seconds).median;
      peerPerplexity = perplexity;
      pairs.push({ ours: ourSeconds, peer: peerSeconds, ratio: peerSeconds / ourSeconds });
    }
    return {
      peer: file,
      ...about,
      pairs,
      ours: summary(pairs.map((pair) => pair.ours)),
      theirs: summary(pairs.map((pair) => pair.peer)),
      ratio: summary(pairs.map((pair) => pair.ratio)),
      perplexity: { epochs: 1 + epochs * repeats, ours: ours.perplexity, theirs: peerPerplexity },
    };
  } finally {
    ours.dispose();
    await peer.close();
  }
}

/** @typedef {Awaited<ReturnType<typeof compareWith>>} Comparison */
