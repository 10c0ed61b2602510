/**
 * npm run bench:chapter: trains the book chapter's job on its own corpus, from several seeds and with both
 * samplings, and fails if the perplexities are not those of bench/chapter-expected.json. The corpus has to be
 * there: GRU_NATIVE_JAYCHOU, or gru-native corpus fetch jaychou.
 *
 *   --seeds 0,1,2            seeds of the runs
 *   --epochs N               epochs of each run (200); fewer only to try the program out
 *   --threads N              threads of the training (all)
 *   --continue               keep the finished runs of the results file that this very build made
 *   --readme                 put the table into README.md, if it passes
 *   --expected FILE          compare with other numbers (bench/chapter-expected.json)
 *   --results DIRECTORY      where the runs are kept (bench/results)
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DEFAULT_CONFIG, loadCorpus, train } from '../dist/index.js';
import { native } from '../dist/native.js';
import { problemsOf, replaceTable, rowsOf, SAMPLINGS, tableOf } from './chapter-table.mjs';
import { describeMachine, machineFacts, ROOT, warnings, writeResult } from './machine.mjs';
import { fail, UsageError, wholeNumber } from './options.mjs';
import { median } from './statistics.mjs';

/** @typedef {import('./chapter-table.mjs').Run} Run */

const README = join(ROOT, 'README.md');

function readOptions() {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '0,1,2' },
      epochs: { type: 'string', default: String(DEFAULT_CONFIG.epochs) },
      threads: { type: 'string', default: String(native.availableThreads()) },
      continue: { type: 'boolean', default: false },
      readme: { type: 'boolean', default: false },
      expected: { type: 'string', default: join(ROOT, 'bench/chapter-expected.json') },
      results: { type: 'string', default: join(ROOT, 'bench/results') },
    },
  });
  /** @type {import('./chapter-table.mjs').Expected} */
  const expected = JSON.parse(readFileSync(values.expected, 'utf8'));
  const epochs = wholeNumber('--epochs', values.epochs, expected.epochs[0]);
  if (values.readme) {
    const last = /** @type {number} */ (expected.epochs.at(-1));
    if (epochs < last) throw new UsageError(`expected --epochs ${last} for --readme, received ${epochs}`);
    replaceTable(readFileSync(README, 'utf8'), ''); // better to fail now than after the training
  }
  const seeds = values.seeds.split(',').map((seed) => wholeNumber('--seeds', seed, 0));
  const threads = wholeNumber('--threads', values.threads);
  return { ...values, expected, epochs, seeds, threads };
}

/**
 * Trains one run to its end.
 *
 * @param {import('../dist/index.js').Corpus} corpus
 * @param {Pick<Run, 'sampling' | 'seed' | 'epochs' | 'build'>} wanted
 * @param {number} threads
 * @returns {Promise<Run>}
 */
async function trainOne(corpus, wanted, threads) {
  const { sampling, seed, epochs } = wanted;
  const perplexity = [];
  const seconds = [];
  // No samples, so that no text of the corpus can get into a result.
  const run = train({
    corpus,
    sampling,
    seed,
    epochs,
    threads,
    device: 'cpu',
    prefixes: [],
    reportEvery: epochs,
  });
  try {
    for await (const event of run) {
      if (event.type !== 'epoch') continue;
      perplexity.push(event.perplexity);
      seconds.push(event.seconds);
      if (event.epoch % 20 === 0 || event.epoch === epochs) {
        const speed = `${median(seconds).toFixed(3)} s an epoch`;
        say(
          `${sampling}, seed ${seed}, epoch ${event.epoch}: perplexity ${event.perplexity.toPrecision(5)}, ${speed}`,
        );
      }
    }
  } finally {
    run.dispose();
  }
  return { ...wanted, date: new Date().toISOString(), secondsPerEpoch: median(seconds), perplexity };
}

/** The finished runs of an earlier, interrupted table; only those of the same build. @returns {Run[]} */
function earlierRuns(/** @type {string} */ path, /** @type {string} */ build) {
  if (!existsSync(path)) return [];
  /** @type {Run[]} */
  const runs = JSON.parse(readFileSync(path, 'utf8')).runs;
  const kept = runs.filter((run) => run.build === build);
  say(`${kept.length} of the ${runs.length} finished runs in ${path} are of this build`);
  return kept;
}

async function main() {
  const options = readOptions();
  const { expected, seeds, epochs, threads } = options;
  const machine = machineFacts(threads);
  const notes = warnings(machine);
  for (const note of notes) say(`warning: ${note}`);
  say(describeMachine(machine));
  const corpus = await loadCorpus('jaychou');
  const path = join(options.results, 'chapter-cpu.json');
  const earlier = options.continue ? earlierRuns(path, machine.build) : [];
  /** @type {Run[]} */
  const runs = [];
  for (const sampling of SAMPLINGS) {
    for (const seed of seeds) {
      const wanted = { sampling, seed, epochs, build: machine.build };
      const done = earlier.find(
        (run) => run.sampling === sampling && run.seed === seed && run.epochs === epochs,
      );
      runs.push(done ?? (await trainOne(corpus, wanted, threads)));
      keep();
    }
  }

  function keep() {
    const { name, characters, sha256 } = corpus;
    // Runs that were finished earlier and whose turn is still to come stay in the file.
    const waiting = earlier.filter((run) => !runs.includes(run));
    const rows = Object.fromEntries(
      SAMPLINGS.map((sampling) => [sampling, rowsOf(sampling, runs, expected)]),
    );
    writeResult(path, {
      machine,
      notes,
      corpus: { name, characters, sha256 },
      expected,
      rows,
      runs: [...runs, ...waiting],
    });
  }

  const table = tableOf(runs, expected);
  process.stdout.write(`${table}\n\n${speed(runs)}\n`);
  say(`kept in ${path}`);
  const problems = problemsOf(runs, expected);
  for (const problem of problems) say(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
  if (!options.readme) return;
  if (problems.length > 0) say('README.md stays as it was');
  else writeFileSync(README, replaceTable(readFileSync(README, 'utf8'), table));
}

/** @param {readonly Run[]} runs */
function speed(runs) {
  const medians = SAMPLINGS.map((sampling) => {
    const seconds = runs.filter((run) => run.sampling === sampling).map((run) => run.secondsPerEpoch);
    return `${median(seconds).toFixed(3)} (${sampling})`;
  });
  return `Seconds an epoch, median: ${medians.join(', ')}.`;
}

/** @param {string} line */
function say(line) {
  process.stderr.write(`${line}\n`);
}

await main().catch(fail);
