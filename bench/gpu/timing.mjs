/** The parts that time: the update's kernels on every path, and what their speed comes from. */

import { join } from 'node:path';
import { budgetProblems, budgetTable, rowsOf } from './budget.mjs';
import { failureOf, run, tail } from './processes.mjs';
import { short } from './verdict.mjs';

/** @typedef {import('./check.mjs').Context} Context */

/** Numbers that gpu_timing prints of opening the device. */
const OPENING_TIMES = ['openSeconds', 'contextSeconds', 'moduleSeconds'];
/** Numbers that it prints of every path. */
const PATH_TIMES = ['firstEpochSeconds', 'epochSeconds', 'updateMicroseconds'];
/** Makes the driver compile the kernels anew instead of taking what it kept of an earlier start. */
const COLD = { CUDA_CACHE_DISABLE: '1' };
const PRECISIONS = ['fp32', 'tf32', 'bf16'];

/**
 * What is wrong with what gpu_timing printed, as sentences: what is missing, and paths whose parts do not add up.
 *
 * @param {any} cold what it printed of opening without kept kernels
 * @param {any} times what it printed of everything
 * @returns {string[]}
 */
export function timingProblems(cold, times) {
  const paths = times.paths ?? [];
  const missing = [
    ...OPENING_TIMES.filter((name) => !(cold[name] > 0)).map((name) => `${name} (cold)`),
    ...OPENING_TIMES.filter((name) => !(times[name] > 0)),
    ...PRECISIONS.filter(
      (name) => !paths.some((path) => path.precision === name && path.recurrence === 'steps'),
    ).map((name) => `the plain steps in ${name}`),
    ...paths.flatMap((path) =>
      PATH_TIMES.filter((name) => !(path[name] > 0)).map(
        (name) => `${name} (${path.precision}, ${path.recurrence})`,
      ),
    ),
  ];
  if (missing.length > 0) return [`expected times above 0 for ${missing.join(', ')}`];
  return paths.flatMap(budgetProblems);
}

/**
 * Times of opening the device with kernels that the driver has kept (warm: doctor has loaded them before) and
 * without (cold), then of training in each precision on each path, beside the budget.
 *
 * @param {Context} context
 */
export async function timing({ bundle, folder, left, facts }) {
  if (facts.device === 'absent') return { result: 'no device' };
  const program = join(bundle, 'tests/gpu_timing');
  const opened = await run(program, ['open'], { seconds: left(), cwd: folder, env: COLD });
  const refused = failureOf(opened);
  if (refused !== undefined) {
    return { result: 'failed', reason: `cold start: ${refused}`, output: tail(opened) };
  }
  const cold = JSON.parse(opened.stdout);
  const finished = await run(program, [], { seconds: left(), cwd: folder });
  const failure = failureOf(finished);
  if (failure !== undefined) return { result: 'failed', reason: failure, output: tail(finished) };
  const times = JSON.parse(finished.stdout);
  const problems = timingProblems(cold, times);
  if (problems.length > 0) return { result: 'failed', reason: problems.join(', '), times, cold };
  // The first of a precision is the path that the device chose.
  const chosen = PRECISIONS.map((name) => times.paths.find((path) => path.precision === name));
  facts.epochSeconds ??= chosen[0].epochSeconds;
  const loaded = `kernels loaded in ${short(cold.moduleSeconds)} s cold, ${short(times.moduleSeconds)} s warm`;
  const updates = chosen.map((path) => `${path.precision} ${short(path.updateMicroseconds)}`).join(', ');
  return {
    result: 'passed',
    figure: `µs an update: ${updates}; ${loaded}`,
    text: budgetTable(times.paths),
    times: { ...times, paths: times.paths.map((path) => ({ ...path, parts: rowsOf(path) })) },
    cold,
  };
}

/**
 * What is wrong with what gpu_micro printed, as sentences.
 *
 * @param {any} measured
 * @returns {string[]}
 */
export function microProblems({ kernels = [], graphNodeMicroseconds, residentGroups = [] }) {
  const problems = [];
  if (kernels.length === 0) problems.push('expected kernels that were measured, received none');
  for (const { kernel, cyclesPerRound } of kernels) {
    if (!(cyclesPerRound > 0)) problems.push(`expected cycles of ${kernel}, received ${cyclesPerRound}`);
  }
  if (!(graphNodeMicroseconds > 0)) {
    problems.push(`expected a gap between the nodes of a graph, received ${graphNodeMicroseconds}`);
  }
  if (residentGroups.length === 0) problems.push('expected groups of persistent pairs, received none');
  return problems;
}

/**
 * What the kernels' speed comes from, measured one by one.
 *
 * @param {Context} context
 */
export async function micro({ bundle, folder, left, facts }) {
  if (facts.device === 'absent') return { result: 'no device' };
  const finished = await run(join(bundle, 'tests/gpu_micro'), [], { seconds: left(), cwd: folder });
  const failure = failureOf(finished);
  if (failure !== undefined) return { result: 'failed', reason: failure, output: tail(finished) };
  const measured = JSON.parse(finished.stdout);
  if (measured.skipped) return { result: 'skipped', reason: measured.skipped };
  const problems = microProblems(measured);
  if (problems.length > 0) return { result: 'failed', reason: problems.join(', '), measured };
  const cycles = new Map(measured.kernels.map(({ kernel, cyclesPerRound }) => [kernel, cyclesPerRound]));
  const groups = measured.residentGroups.find(({ pair }) => pair === 'cluster_fp32_256');
  const figure = [
    `st.async and back ${short(cycles.get('round_trip_async') ?? Number.NaN)} cycles`,
    `cluster barrier ${short(cycles.get('round_trip_cluster') ?? Number.NaN)}`,
    `graph node ${short(measured.graphNodeMicroseconds)} µs`,
    `${groups?.forward ?? 0} groups of cluster_fp32_256`,
  ].join(', ');
  return { result: 'passed', figure, text: microTable(measured), measured };
}

/** Everything that gpu_micro measured, a line each. */
function microTable({ kernels, residentGroups }) {
  const lines = [
    ...kernels.map(({ kernel, round, cyclesPerRound }) => [kernel, `${cyclesPerRound} cycles`, round]),
    ...residentGroups.map(({ pair, blocks, forward, backward }) => [
      pair,
      `${forward} forward, ${backward} backward`,
      `groups of ${blocks} blocks at once`,
    ]),
  ];
  const widths = [0, 1].map((column) => Math.max(...lines.map((line) => line[column].length)));
  return lines
    .map((line) =>
      line
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
