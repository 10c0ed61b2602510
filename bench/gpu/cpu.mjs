/** The part that checks the machine's processor, which may have instructions that the build's machine lacks. */

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { runTests } from './parts.mjs';
import { failureOf, run, tail } from './processes.mjs';

/** Vocabulary, hidden units, batch, steps of the book chapter's run. */
const SIZES = [1465, 256, 32, 35];
const ROUNDS = 5;
/** Paths that are asked for; where a machine lacks one, the program takes its fastest and says so. */
const PATHS = ['avx512', 'avx2'];
/** The one test that takes minutes. */
const LONG_TEST = 'two_epochs_at_the_chapters_sizes_equal_the_oracle';

/**
 * The CPU backend's tests on every path of the machine, then the speed of each with two threads and with all.
 *
 * @param {import('./check.mjs').Context} context
 */
export async function cpu({ bundle, folder, left }) {
  const tested = await runTests(join(bundle, 'tests/cpu'), folder, left, ['--skip', LONG_TEST]);
  if (tested.result !== 'passed') return tested;
  const speeds = [];
  for (const threads of new Set([2, availableParallelism()])) {
    for (const path of PATHS) {
      const finished = await run(
        join(bundle, 'tests/update_parts'),
        [threads, ...SIZES, ROUNDS].map(String),
        {
          cwd: folder,
          seconds: left(),
          env: { GRU_NATIVE_CPU: path },
        },
      );
      const failure = failureOf(finished);
      if (failure !== undefined)
        return { ...tested, result: 'failed', reason: failure, output: tail(finished) };
      const speed = JSON.parse(finished.stdout);
      if (speed.path === path) speeds.push(speed);
    }
  }
  const best = speeds.map(({ path, threads, milliseconds }) => {
    return `${path} with ${threads} threads ${Math.min(...milliseconds).toFixed(1)} ms an update`;
  });
  return { ...tested, figure: [tested.figure, ...best].join(', '), speeds };
}
