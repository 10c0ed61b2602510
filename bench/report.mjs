/** The result of `npm run bench` as text. */

import { describeMachine } from './machine.mjs';
import { columns, percentOff, range } from './statistics.mjs';

/**
 * @param {object} result
 * @param {import('./machine.mjs').MachineFacts} result.machine
 * @param {string[]} result.notes
 * @param {string} result.flopFormula
 * @param {import('./measure.mjs').Measurement[]} result.jobs
 */
export function reportOf({ machine, notes, flopFormula, jobs }) {
  const parts = [describeMachine(machine), speeds(jobs)];
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
