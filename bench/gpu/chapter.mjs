/** The book chapter's run, end to end through the command line, on the GPU and for a moment on the CPU. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { median } from '../statistics.mjs';
import { figuresOf, figuresText, precisionProblems } from './figures.mjs';
import { failureOf, run, tail } from './processes.mjs';
import { short } from './verdict.mjs';

/**
 * @typedef {import('./check.mjs').Context} Context
 *
 * @typedef {object} Trained
 * @property {string} device in the words of the start event
 * @property {number[]} perplexity of every epoch
 * @property {number[]} seconds of every epoch
 * @property {boolean} ended whether the run reached its end
 */

const SAMPLINGS = /** @type {const} */ (['adjacent', 'random']);
/** Those beside fp32. */
const ROUNDED = ['tf32', 'bf16'];
const SEED = 0;
/** Epochs on the CPU: enough for a ratio. The first of them are compared with the GPU's. */
const CPU_EPOCHS = 2;
/** How far apart the perplexities of those epochs may be: rounding differs, and clipping magnifies it later on. */
const CPU_AGREES = 0.005;

/**
 * The corpus: the chapter's where the bundle or the environment has it, else the embedded one.
 *
 * @param {string} bundle
 */
export function corpusOf(bundle) {
  const variable = 'GRU_NATIVE_JAYCHOU';
  const path = [join(bundle, 'corpus/jaychou_lyrics.txt.zip'), process.env[variable] ?? ''].find(existsSync);
  return path === undefined ? { source: 'songs', env: {} } : { source: 'jaychou', env: { [variable]: path } };
}

/**
 * The events that a training printed, as curves. Samples are left out: no text of a corpus gets into a result.
 *
 * @param {string} stdout NDJSON; the last line may be cut off
 * @returns {Trained}
 */
export function readTraining(stdout) {
  /** @type {Trained} */
  const trained = { device: 'none', perplexity: [], seconds: [], ended: false };
  for (const line of stdout.split('\n')) {
    if (!/"type":"(start|epoch|end)"/.test(line) || !line.endsWith('}')) continue;
    const event = JSON.parse(line);
    if (event.type === 'start') trained.device = event.device;
    if (event.type === 'end') trained.ended = true;
    if (event.type !== 'epoch') continue;
    trained.perplexity.push(event.perplexity);
    trained.seconds.push(event.seconds);
  }
  return trained;
}

/**
 * What is wrong with the first epochs of a run on the GPU beside those on the CPU, as sentences.
 *
 * @param {readonly number[]} gpu perplexities
 * @param {readonly number[]} cpu perplexities
 */
export function cpuProblems(gpu, cpu) {
  if (cpu.length !== CPU_EPOCHS) return [`expected ${CPU_EPOCHS} epochs on the CPU, received ${cpu.length}`];
  return cpu.flatMap((expected, index) => {
    if (Math.abs(gpu[index] / expected - 1) <= CPU_AGREES) return [];
    return [`epoch ${index + 1}: expected perplexity ${expected} as on the CPU, received ${gpu[index]}`];
  });
}

/** @param {Context} context */
export async function chapter({ bundle, folder, left, facts }) {
  if (facts.device === 'absent') return { result: 'no device' };
  const expected = JSON.parse(readFileSync(join(import.meta.dirname, '../chapter-expected.json'), 'utf8'));
  const all = expected.epochs.at(-1);
  const { source, env } = corpusOf(bundle);
  /** @type {string[]} */
  const output = [];
  const train = async (
    /** @type {string} */ device,
    /** @type {'adjacent' | 'random'} */ sampling,
    /** @type {number} */ epochs,
    precision = 'fp32',
  ) => {
    const out = join(folder, `${device}-${sampling}-${precision}`);
    const options = { device, precision, sampling, epochs, seed: SEED, out };
    const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const args = [join(bundle, 'dist/cli/main.js'), 'train', source, ...flags, '--json', '--offline'];
    const finished = await run(process.execPath, args, { seconds: left(), cwd: folder, env });
    const trained = readTraining(finished.stdout);
    const failure = failureOf(finished);
    const count = `${trained.seconds.length} of ${epochs} epochs`;
    const problems = [];
    if (failure !== undefined) problems.push(`${failure} (${count})`);
    else if (trained.device.split(':')[0] !== device) problems.push(`ran on ${trained.device}`);
    else if (!trained.ended || trained.seconds.length !== epochs) problems.push(count);
    if (problems.length > 0) output.push(...tail({ ...finished, stdout: '' }));
    const loopSeconds = trained.seconds.reduce((sum, seconds) => sum + seconds, 0);
    return {
      name: `${device}, ${precision}, ${sampling}`,
      precision,
      sampling,
      seed: SEED,
      epochs,
      ...trained,
      loopSeconds,
      wallSeconds: finished.seconds,
      problems,
    };
  };

  const runs = [await train('cuda', 'adjacent', all), await train('cuda', 'random', all)];
  const rounded = [];
  for (const precision of ROUNDED) rounded.push(await train('cuda', 'adjacent', all, precision));
  const cpu = await train('cpu', 'adjacent', CPU_EPOCHS);
  const problems = [...runs, ...rounded, cpu].flatMap((one) =>
    one.problems.map((problem) => `${one.name}: ${problem}`),
  );
  if (problems.length === 0) {
    problems.push(...cpuProblems(runs[0].perplexity, cpu.perplexity));
    for (const { precision, perplexity } of rounded) {
      problems.push(...precisionProblems(precision, perplexity, runs[0].perplexity));
    }
    if (source === 'jaychou') {
      // Loads the addon, which by now is known to load.
      const { problemsOf } = await import('../chapter-table.mjs');
      problems.push(...problemsOf(runs, expected));
      // Its limits are those of other seeds and another program, which holds for other rounding too.
      for (const one of rounded) {
        const off = problemsOf([one], expected, ['adjacent']);
        problems.push(...off.map((problem) => `${one.precision}, ${problem}`));
      }
    }
  }

  const [adjacent, random] = runs;
  const epochSeconds = median(adjacent.seconds.length > 0 ? adjacent.seconds : [Number.NaN]);
  if (epochSeconds > 0) facts.epochSeconds = epochSeconds;
  const ratio = (cpu.seconds.at(-1) ?? Number.NaN) / epochSeconds;
  const table = SAMPLINGS.map((sampling, index) => ({
    sampling,
    epochs: expected.epochs,
    expected: source === 'jaychou' ? expected[sampling] : undefined,
    received: expected.epochs.map((/** @type {number} */ epoch) => runs[index].perplexity[epoch - 1] ?? null),
  }));
  const figures = [adjacent, ...rounded].map(figuresOf);
  const text = figuresText(figures);
  const data = { corpus: source, epochSeconds, cpuOverGpu: ratio, figures, text, table, runs, rounded, cpu };
  const compared = source === 'jaychou' ? '' : '; embedded corpus, compared with the CPU alone';
  const figure =
    `training loop ${short(adjacent.loopSeconds)} s adjacent, ${short(random.loopSeconds)} s random, ` +
    `${rounded.map((one) => `${one.precision} ${short(one.loopSeconds)} s`).join(', ')}, ` +
    `CPU/GPU ${short(ratio)}${compared}`;
  if (problems.length > 0) return { result: 'failed', reason: problems.join(', '), figure, output, ...data };
  return { result: 'passed', figure, ...data };
}
