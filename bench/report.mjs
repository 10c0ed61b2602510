/** The result of `npm run bench` as text. */

import { describeMachine } from './machine.mjs';
import { columns, percentOff, range } from './statistics.mjs';

/**
 * @param {object} result
 * @param {import('./machine.mjs').MachineFacts} result.machine
 * @param {string[]} result.notes
 * @param {string} result.flopFormula
 * @param {import('./measure.mjs').Measurement[]} result.jobs
 * @param {import('./parts.mjs').Scaling} result.scaling
 */
export function reportOf({ machine, notes, flopFormula, jobs, scaling }) {
  const parts = [describeMachine(machine), speeds(jobs), ...jobs.map(update), ...scaling.map(scale)];
  for (const job of jobs) {
    if (job.comparisons.length > 0) parts.push(comparison(job));
  }
  parts.push(
    [
      `Seconds an epoch: median [lowest-highest] of ${jobs[0].epochSeconds.length}, wall clock, through Network.`,
      'GFLOP/s counts the products of the recurrence and of the projection and nothing else;',
      `${flopFormula}.`,
      'sgemm peak: square products by the gemm crate, each thread its own; fma peak: multiply-adds on registers',
      'alone; each the median of measurements before, between and after the epochs, in GFLOP/s.',
      'train(): its time over that of Network for the same epochs, in turns, median.',
      'Parts: time of all threads divided by their number, so that waiting shows as what is missing to the whole;',
      'the share of the whole is the median of rounds, each against the fma peak measured just before it.',
      ...notes.map((note) => `Note: ${note}.`),
    ].join('\n'),
  );
  return `${parts.join('\n\n')}\n`;
}

/** @param {import('./measure.mjs').Measurement[]} jobs */
function speeds(jobs) {
  const header = [
    'job',
    's/epoch',
    'characters/s',
    'GFLOP/s',
    'sgemm peak',
    'share',
    'fma peak',
    'share',
    'train()',
  ];
  const rows = jobs.map((job) => [
    job.name,
    range(job.secondsPerEpoch, (seconds) => seconds.toFixed(3)),
    thousands(job.charactersPerSecond),
    job.gflopPerSecond.toFixed(1),
    job.peak?.sgemm.toFixed(1) ?? '-',
    share(job.shareOfSgemm),
    job.peak?.fma?.toFixed(1) ?? '-',
    share(job.shareOfFma),
    percentOff(job.trainOverTime),
  ]);
  return columns([header, ...rows]);
}

/** @param {import('./measure.mjs').Measurement} job */
function update({ name, parts }) {
  const rows = parts.parts.map((part) => [
    part.name,
    part.milliseconds.toFixed(2),
    part.gflopPerSecond?.toFixed(0) ?? '-',
    share(part.shareOfFma),
  ]);
  const { path, milliseconds, gflopPerSecond, shareOfFma } = parts;
  const best = shareOfFma && `, best round ${share(shareOfFma.best)}`;
  const total = [`whole update (${path}${best ?? ''})`, milliseconds.toFixed(2), gflopPerSecond.toFixed(0)];
  const header = [`${name}: part of an update`, 'ms', 'GFLOP/s', 'of fma'];
  return columns([header, ...rows, [...total, share(shareOfFma?.median ?? null)]]);
}

/** @param {import('./parts.mjs').Scaling[number]} scaling */
function scale({ name, rows }) {
  const lines = rows.map((row) => [
    String(row[/** @type {keyof import('./parts.mjs').Sizes} */ (name)]),
    row.milliseconds.toFixed(2),
    row.gflopPerSecond.toFixed(0),
    share(row.shareOfFma?.median ?? null),
    thousands((row.batchSize * row.numSteps * 1000) / row.milliseconds),
  ]);
  return columns([[name, 'ms an update', 'GFLOP/s', 'of fma', 'characters/s'], ...lines]);
}

/** @param {import('./measure.mjs').Measurement} job */
function comparison({ name, comparisons }) {
  const header = ['peer', 's/epoch', 'ours', 'times as fast', 'pair by pair'];
  const rows = comparisons.map(({ peer, theirs, ours, ratio, pairs }) => [
    peer,
    range(theirs, (seconds) => seconds.toFixed(3)),
    range(ours, (seconds) => seconds.toFixed(3)),
    range(ratio, (times) => times.toFixed(2)),
    pairs.map((pair) => pair.ratio.toFixed(2)).join(' '),
  ]);
  const lines = comparisons.map(({ peer, perplexity, compiled }) => {
    const { epochs, ours, theirs } = perplexity;
    const how = compiled === undefined ? '' : compiled ? ', compiled' : ', not compiled';
    return `${peer}${how}: perplexity after ${epochs} epochs ${theirs.toPrecision(4)}, ours ${ours.toPrecision(4)}.`;
  });
  const { torch, threads } = comparisons[0];
  return [`${name} in PyTorch ${torch}, ${threads} threads:`, columns([header, ...rows]), ...lines].join(
    '\n',
  );
}

/** @param {number} value */
function thousands(value) {
  return Math.round(value).toLocaleString('en-US');
}

/** @param {number | null} ratio */
function share(ratio) {
  return ratio === null ? '-' : `${(ratio * 100).toFixed(0)} %`;
}
