/** The parts that run one program each: conformance, sanitizer, PyTorch. */

import { accessSync, constants } from 'node:fs';
import { cpus } from 'node:os';
import { delimiter, join } from 'node:path';
import { corpusOf } from './chapter.mjs';
import { listedTests, testProblems, testResults } from './libtest.mjs';
import { failureOf, run, tail } from './processes.mjs';
import { short } from './verdict.mjs';

/** @typedef {import('./check.mjs').Context} Context */

/** Seconds that listing the tests may take. */
const LIST_SECONDS = 10;

/**
 * Every test of the compiled test binary. The list of them comes first, also without a device: it shows that the
 * binary starts here, and no test of it can be left out in silence.
 *
 * @param {Context} context
 */
export async function conformance({ bundle, folder, left, facts }) {
  const binary = join(bundle, 'tests/gpu');
  if (facts.device !== 'absent') return runTests(binary, folder, left);
  const { names, problem } = await listTests(binary, folder, left);
  if (problem) return problem;
  const tests = names.map((name) => ({ name, result: 'no device' }));
  return { result: 'no device', figure: `${names.length} tests listed`, tests };
}

/**
 * Lists the tests of a binary and runs them one after the other.
 *
 * @param {string} binary
 * @param {string} folder
 * @param {() => number} left
 * @param {readonly string[]} filter which tests
 */
export async function runTests(binary, folder, left, filter = []) {
  const { names, problem } = await listTests(binary, folder, left, filter);
  if (problem) return problem;
  /** @type {{ line: string, seconds: number }[]} */
  const lines = [];
  const finished = await run(binary, ['--test-threads=1', '--color=never', ...filter], {
    cwd: folder,
    seconds: left(),
    onLine: (line, seconds) => lines.push({ line, seconds }),
  });
  const tests = testResults(names, lines);
  const problems = testProblems(tests);
  const passed = tests.filter(({ result }) => result === 'passed').length;
  const figure = `${passed} of ${names.length} tests passed`;
  const failure = failureOf(finished);
  if (failure === undefined && problems.length === 0) return { result: 'passed', figure, tests };
  return {
    result: 'failed',
    reason: [failure, ...problems].filter(Boolean).join(', '),
    figure,
    tests,
    output: tail(finished),
  };
}

/**
 * @param {string} binary
 * @param {string} folder
 * @param {() => number} left
 * @param {readonly string[]} filter
 */
async function listTests(binary, folder, left, filter = []) {
  const seconds = Math.min(LIST_SECONDS, left());
  const list = await run(binary, ['--list', '--format', 'terse', ...filter], { cwd: folder, seconds });
  const names = listedTests(list.stdout);
  if (failureOf(list) === undefined && names.length > 0) return { names };
  const reason = `list of tests: ${failureOf(list) ?? 'it is empty'}`;
  return { names, problem: { result: 'failed', reason, output: tail(list) } };
}

/** The test that runs every kernel at sizes small enough for the sanitizer. */
const SANITIZED_TEST = 'sanitized_sizes_run';
const SANITIZER_TOOLS = ['memcheck', 'racecheck', 'synccheck', 'initcheck'];

/**
 * A program's path, if one of the folders has it.
 *
 * @param {string} program
 * @param {readonly string[]} folders
 */
export function find(program, folders) {
  return folders
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** What a tool of compute-sanitizer found wrong, in words; undefined when it says that it found nothing. */
export function sanitizerProblem(/** @type {import('./processes.mjs').Finished} */ finished) {
  const failure = failureOf(finished);
  if (failure !== undefined) return failure;
  const summary = /^=+ (?:ERROR|RACECHECK) SUMMARY: .*/m.exec(finished.stdout)?.[0];
  if (summary === undefined) return 'it printed no summary';
  if (!/SUMMARY: 0 (?:errors|hazards)\b/.test(summary)) return summary.replace(/^=+ /, '');
  const ran = finished.stdout.includes('test result: ok. 1 passed');
  return ran ? undefined : `the test ${SANITIZED_TEST} did not run`;
}

/** @param {Context} context */
export async function sanitizer({ bundle, folder, left, facts }) {
  if (facts.device === 'absent') return { result: 'no device' };
  const path = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  const program = find('compute-sanitizer', [...path, '/usr/local/cuda/bin']);
  if (program === undefined) return { result: 'skipped', reason: 'compute-sanitizer is not installed' };
  const tools = [];
  for (const tool of SANITIZER_TOOLS) {
    const test = [join(bundle, 'tests/gpu'), '--exact', SANITIZED_TEST, '--test-threads=1'];
    const args = ['--tool', tool, '--error-exitcode', '1', ...test];
    const finished = await run(program, args, { seconds: left(), cwd: folder });
    const problem = sanitizerProblem(finished);
    tools.push({ tool, seconds: finished.seconds, ...(problem ? { problem, output: tail(finished) } : {}) });
  }
  const failed = tools.filter(({ problem }) => problem !== undefined);
  if (failed.length === 0) return { result: 'passed', figure: SANITIZER_TOOLS.join(', '), tools };
  return {
    result: 'failed',
    reason: failed.map(({ tool, problem }) => `${tool}: ${problem}`).join(', '),
    tools,
  };
}

/** How many times as fast as PyTorch, eager or captured in a graph, a training in fp32 is to be. */
const FASTER = 10;
/** How far the graph's perplexity may be from the eager one's, both having trained the same epochs. */
const MODES_AGREE = 0.01;

/**
 * PyTorch on the same GPU, the same corpus and the same job: the yardstick.
 *
 * @param {Context} context
 */
export async function pytorch(context) {
  const { bundle, folder, left, facts, python } = context;
  if (facts.device === 'absent') return { result: 'no device' };
  const ids = join(folder, 'ids');
  const { source, env } = corpusOf(bundle);
  const writer = join(import.meta.dirname, 'ids.mjs');
  const written = await run(process.execPath, [writer, source, ids], { seconds: left(), env });
  if (failureOf(written) !== undefined) {
    return { result: 'failed', reason: `ids of the corpus: ${failureOf(written)}`, output: tail(written) };
  }
  const job = { ids, ...JSON.parse(written.stdout), threads: cpus().length };
  const peer = join(import.meta.dirname, '../peers/cuda_gru.py');
  const args = Object.entries(job).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const finished = await run(python, [peer, ...args], {
    seconds: left(),
    cwd: folder,
    env: { PYTHONDONTWRITEBYTECODE: '1' },
  });
  if (/ENOENT/.test(finished.problem ?? '')) return { result: 'skipped', reason: `there is no ${python}` };
  const missing = /ModuleNotFoundError: No module named '(torch|numpy)'/.exec(finished.stderr);
  if (missing) return { result: 'skipped', reason: `${python} has no ${missing[1]}` };
  return { ...judgeModes(finished, facts.epochSeconds) };
}

/**
 * @param {import('./processes.mjs').Finished} finished the peer
 * @param {number | undefined} ours our seconds an epoch
 */
export function judgeModes(finished, ours) {
  const said = finished.stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const skipped = said.find((line) => line.skipped)?.skipped;
  if (skipped) return { result: 'skipped', reason: skipped };
  const modes = said.map((mode) => {
    const ratio = ours ? mode.secondsPerEpoch / ours : undefined;
    return { ...mode, ...(ratio ? { ratio, tenTimesFaster: ratio >= FASTER } : {}) };
  });
  const figure = modes
    .map(({ mode, secondsPerEpoch, ratio }) => {
      const reached = ratio >= FASTER ? 'yes' : 'no';
      const times = ratio ? ` (${short(ratio)} times ours; at least ${FASTER} times faster: ${reached})` : '';
      return `${mode} ${short(secondsPerEpoch * 1000)} ms an epoch${times}`;
    })
    .join(', ');
  const [eager, graph] = ['eager', 'graph'].map((name) => modes.find(({ mode }) => mode === name));
  const failure = failureOf(finished);
  if (failure !== undefined || !eager || !graph) {
    const reason = failure ?? 'expected the modes eager and graph';
    return { result: 'failed', reason, figure, modes, output: tail(finished) };
  }
  if (!(Math.abs(graph.perplexity / eager.perplexity - 1) <= MODES_AGREE)) {
    const reason = `expected the graph to reach perplexity ${eager.perplexity}, received ${graph.perplexity}`;
    return { result: 'failed', reason, figure, modes };
  }
  return { result: 'passed', figure, modes };
}
