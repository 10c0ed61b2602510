/** The chapter's table: our curves beside those that were expected, and whether they agree. */

import { UsageError } from './options.mjs';
import { percentOff, range, summary } from './statistics.mjs';

/**
 * @typedef {'adjacent' | 'random'} Sampling
 *
 * @typedef {object} Run One training, as kept in the results.
 * @property {Sampling} sampling
 * @property {number} seed
 * @property {number} epochs
 * @property {string} build
 * @property {string} date
 * @property {number} secondsPerEpoch median
 * @property {number[]} perplexity of every epoch
 *
 * @typedef {object} Expected bench/chapter-expected.json
 * @property {Record<'chapter' | Sampling, string>} source
 * @property {{ off: number, adjacentAtTheEnd: number }} limits
 * @property {number[]} epochs
 * @property {number[]} chapter perplexities at `epochs`, like the two below
 * @property {number[]} adjacent
 * @property {number[]} random
 *
 * @typedef {object} Row
 * @property {number} epoch
 * @property {number} chapter
 * @property {import('./statistics.mjs').Summary} ours over the seeds
 * @property {number} expected
 * @property {number} off ours / expected
 */

/** @type {readonly Sampling[]} */
export const SAMPLINGS = ['adjacent', 'random'];

/**
 * One row for every epoch of `expected` that the runs reached.
 *
 * @param {Sampling} sampling
 * @param {readonly Run[]} runs
 * @param {Expected} expected
 * @returns {Row[]}
 */
export function rowsOf(sampling, runs, expected) {
  const curves = runs.filter((run) => run.sampling === sampling).map((run) => run.perplexity);
  return expected.epochs.flatMap((epoch, index) => {
    const reached = curves.map((curve) => curve[epoch - 1]).filter((value) => value !== undefined);
    if (reached.length === 0) return [];
    const ours = summary(reached);
    const target = expected[sampling][index];
    return [{ epoch, chapter: expected.chapter[index], ours, expected: target, off: ours.median / target }];
  });
}

/**
 * What is wrong with the runs, as sentences; none when they pass. Nothing to compare does not pass.
 *
 * @param {readonly Run[]} runs
 * @param {Expected} expected
 * @param {readonly Sampling[]} samplings those that are to be there
 */
export function problemsOf(runs, expected, samplings = SAMPLINGS) {
  const { off: limit, adjacentAtTheEnd } = expected.limits;
  const problems = [];
  for (const sampling of samplings) {
    const rows = rowsOf(sampling, runs, expected);
    if (rows.length === 0) problems.push(`${sampling}: expected a run to compare, received none`);
    for (const { epoch, ours, expected: target, off } of rows) {
      if (!(Math.abs(off - 1) <= limit)) {
        problems.push(
          `${sampling}, epoch ${epoch}: expected perplexity ${target} within ${limit * 100} %, received ${perplexity(ours.median)} (${percentOff(off)})`,
        );
      }
      const last = sampling === 'adjacent' && epoch === expected.epochs.at(-1);
      if (last && !(ours.median <= adjacentAtTheEnd)) {
        problems.push(
          `adjacent, epoch ${epoch}: expected perplexity ${adjacentAtTheEnd} at most, received ${perplexity(ours.median)}`,
        );
      }
    }
  }
  return problems;
}

/**
 * The table as Markdown.
 *
 * @param {readonly Run[]} runs
 * @param {Expected} expected
 */
export function tableOf(runs, expected) {
  return SAMPLINGS.map((sampling) => {
    const rows = rowsOf(sampling, runs, expected);
    const seeds = runs.filter((run) => run.sampling === sampling).map((run) => run.seed);
    // The chapter printed adjacent sampling only.
    const printed = (/** @type {string} */ cell) => (sampling === 'adjacent' ? [cell] : []);
    const cells = [
      ['epoch', ...printed('chapter'), 'ours', 'expected', 'off by'],
      ...rows.map((row) => [
        `${row.epoch}`,
        ...printed(`${row.chapter}`),
        range(row.ours, perplexity),
        `${row.expected}`,
        percentOff(row.off),
      ]),
    ];
    const which =
      seeds.length === 1 ? `seed ${seeds[0]}` : `seeds ${seeds.join(', ')}: median [lowest-highest]`;
    const title = `Perplexity, ${sampling} sampling, ${which}`;
    return `${title}\n\n${markdown(cells)}`;
  }).join('\n\n');
}

/**
 * A Markdown table, padded as the formatter of the project wants it.
 *
 * @param {readonly (readonly string[])[]} rows the first is the header
 */
function markdown(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (/** @type {readonly string[]} */ row) => `| ${row.join(' | ')} |`;
  const padded = rows.map((row) => line(row.map((cell, column) => cell.padStart(widths[column]))));
  const rule = line(widths.map((width) => `${'-'.repeat(width - 1)}:`));
  return [padded[0], rule, ...padded.slice(1)].join('\n');
}

const BEGIN = '<!-- chapter-table -->';
const END = '<!-- /chapter-table -->';

/**
 * A document with what stands between its two table marks replaced.
 *
 * @param {string} document
 * @param {string} table
 * @throws UsageError when the marks are not there, once and in order
 */
export function replaceTable(document, table) {
  const parts = document.split(BEGIN);
  const rest = parts[1]?.split(END);
  if (parts.length !== 2 || rest?.length !== 2) {
    throw new UsageError(`expected ${BEGIN} and then ${END}, once each, in README.md for --readme`);
  }
  return `${parts[0]}${BEGIN}\n\n${table}\n\n${END}${rest[1]}`;
}

/** @param {number} value */
function perplexity(value) {
  return value.toPrecision(value < 10 ? 5 : 4);
}
