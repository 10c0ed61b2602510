/** Numbers about numbers, and how they are written. */

/**
 * @typedef {object} Summary
 * @property {number} median
 * @property {number} min
 * @property {number} max
 */

/**
 * @param {readonly number[]} values at least one
 * @returns {Summary}
 */
export function summary(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = (sorted[Math.ceil(middle) - 1] + sorted[Math.floor(middle)]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1] };
}

/**
 * @param {readonly number[]} values at least one
 */
export function median(values) {
  return summary(values).median;
}

/**
 * `median [lowest-highest]`.
 *
 * @param {Summary} numbers
 * @param {(value: number) => string} write
 */
export function range({ median, min, max }, write) {
  return `${write(median)} [${write(min)}-${write(max)}]`;
}

/**
 * A ratio's distance from 1, in percent and with its sign.
 *
 * @param {number} ratio
 */
export function percentOff(ratio) {
  const percent = (ratio - 1) * 100;
  return `${percent < 0 ? '' : '+'}${percent.toFixed(1)} %`;
}

/**
 * Lines in columns, the first aligned left and the others right.
 *
 * @param {readonly (readonly string[])[]} rows
 */
export function columns(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const cell = (/** @type {string} */ text, /** @type {number} */ column) =>
    column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column]);
  return rows.map((row) => row.map(cell).join('  ')).join('\n');
}
