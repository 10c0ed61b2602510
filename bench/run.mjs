/**
 * npm run bench: how fast this machine trains, and what share of its own peak that is; how fast it loads or writes texts;
 * what a long run takes; or how long it takes to start.
 *
 *   --job chapter|wide|all   which job (all)
 *   --epochs N               epochs timed after one to warm up, and of each turn with a peer (10)
 *   --threads N              threads of the training, the peak and the peers (all)
 *   --scaling                also with one size after the other varied around the chapter's
 *   --vs-torch PYTHON        also train with PyTorch, by the Python at this path, in turns with ours
 *   --repeats N              turns with each peer, or rounds of the loading or writing (5)
 *   --loading                instead: how fast texts become ids, and how fast a model evaluates one
 *   --megabytes N            size of each of these texts (100)
 *   --generation             instead: how fast a model writes, and what a crossing into the native code costs
 *   --long-run               instead: memory, handles and threads of a run of 10,000 epochs at a small size (Linux)
 *   --startup                instead: how long the package as published takes to start
 *   --json                   the result as JSON on stdout instead of tables
 *   --results DIRECTORY      where the result is kept (bench/results)
 */

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { native } from '../dist/native.js';
import { generationReport, measureGeneration } from './generation.mjs';
import { FLOP_FORMULA, JOB_NAMES, makeJob } from './jobs.mjs';
import { loadingReport, measureLoading } from './loading.mjs';
import { EPOCHS, longRunReport, measureLongRun } from './long-run.mjs';
import { cpuSlug, describeMachine, machineFacts, ROOT, warnings, writeResult } from './machine.mjs';
import { measureJob } from './measure.mjs';
import { fail, UsageError, wholeNumber } from './options.mjs';
import { measureScaling } from './parts.mjs';
import { PeakMeter } from './peak.mjs';
import { requireTorch } from './peers.mjs';
import { reportOf } from './report.mjs';
import { measureStartup, startupReport } from './startup.mjs';

function readOptions() {
  const { values } = parseArgs({
    options: {
      job: { type: 'string', default: 'all' },
      epochs: { type: 'string', default: '10' },
      threads: { type: 'string', default: String(native.availableThreads()) },
      scaling: { type: 'boolean', default: false },
      'vs-torch': { type: 'string' },
      repeats: { type: 'string', default: '5' },
      loading: { type: 'boolean', default: false },
      megabytes: { type: 'string', default: '100' },
      generation: { type: 'boolean', default: false },
      'long-run': { type: 'boolean', default: false },
      startup: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      results: { type: 'string', default: join(ROOT, 'bench/results') },
    },
  });
  if (values.job !== 'all' && !JOB_NAMES.includes(values.job)) {
    throw new UsageError(`expected ${[...JOB_NAMES, 'all'].join(', ')} for --job, received ${values.job}`);
  }
  if ([values.loading, values.generation, values['long-run'], values.startup].filter(Boolean).length > 1) {
    throw new UsageError('expected one of --loading, --generation, --long-run and --startup, received more');
  }
  return {
    jobs: values.job === 'all' ? JOB_NAMES : [values.job],
    epochs: wholeNumber('--epochs', values.epochs),
    threads: wholeNumber('--threads', values.threads),
    repeats: wholeNumber('--repeats', values.repeats),
    scaling: values.scaling,
    loading: values.loading,
    megabytes: wholeNumber('--megabytes', values.megabytes),
    generation: values.generation,
    longRun: values['long-run'],
    startup: values.startup,
    python: values['vs-torch'],
    json: values.json,
    results: values.results,
  };
}

async function main() {
  const options = readOptions();
  const machine = machineFacts(options.threads);
  if (options.python !== undefined) requireTorch(options.python);
  const notes = warnings(machine);
  const say = (/** @type {string} */ line) => process.stderr.write(`${line}\n`);
  for (const note of notes) say(`warning: ${note}`);
  say(describeMachine(machine));
  const bench = options.loading
    ? benchLoading
    : options.generation
      ? benchGeneration
      : options.longRun
        ? benchLongRun
        : options.startup
          ? benchStartup
          : benchTraining;
  const { name, result, report } = await bench(machine, notes, options, say);
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : report);
  const path = join(options.results, `${machine.date.slice(0, 10)}-${cpuSlug()}-${name}.json`);
  writeResult(path, result);
  say(`kept in ${path}`);
}

/**
 * @typedef {ReturnType<typeof readOptions>} Options
 * @typedef {import('./machine.mjs').MachineFacts} MachineFacts
 * @typedef {(line: string) => void} Say
 */

/** @param {MachineFacts} machine @param {string[]} notes @param {Options} options @param {Say} say */
async function benchLoading(machine, notes, options, say) {
  const loading = await measureLoading(options, say);
  const result = { machine, notes, loading };
  return { name: 'loading', result, report: loadingReport(result) };
}

/** @param {MachineFacts} machine @param {string[]} notes @param {Options} options @param {Say} say */
async function benchGeneration(machine, notes, options, say) {
  const generation = await measureGeneration(options, say);
  const result = { machine, notes, generation };
  return { name: 'generation', result, report: generationReport(result) };
}

/** @param {MachineFacts} machine @param {string[]} notes @param {Options} _options @param {Say} say */
async function benchStartup(machine, notes, _options, say) {
  say('packing');
  const result = { machine, notes, startup: measureStartup() };
  return { name: 'startup', result, report: startupReport(result) };
}

/** @param {MachineFacts} machine @param {string[]} notes @param {Options} options @param {Say} say */
async function benchLongRun(machine, notes, options, say) {
  say(`${EPOCHS} epochs`);
  const result = { machine, notes, longRun: await measureLongRun(EPOCHS, options.threads) };
  return { name: 'long-run', result, report: longRunReport(result) };
}

/** @param {MachineFacts} machine @param {string[]} notes @param {Options} options @param {Say} say */
async function benchTraining(machine, notes, options, say) {
  say('building the program that measures the peak');
  const meter = new PeakMeter(options.threads);
  const jobs = [];
  for (const name of options.jobs) {
    jobs.push(await measureJob(makeJob(name), meter, options, (step) => say(`${name}: ${step}`)));
  }
  if (meter.missing !== undefined) notes.push(`the peak was not measured: ${meter.missing}`);
  if (jobs.some((job) => job.peak !== null && job.peak.fma === null)) {
    notes.push(
      "the fma peak was not measured: the pulp crate was built without this processor's instructions",
    );
  }
  const scaling = options.scaling ? measureScaling(options.threads, say) : [];
  const result = { machine, notes, flopFormula: FLOP_FORMULA, jobs, scaling };
  return { name: 'cpu', result, report: reportOf(result) };
}

await main().catch(fail);
