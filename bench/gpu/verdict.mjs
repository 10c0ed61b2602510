/** What the parts' results come to: whether there is a device, the exit code, the closing table. */

/**
 * @typedef {'passed' | 'failed' | 'no device' | 'skipped'} Result
 *
 * @typedef {object} Part One part of the check, as kept in the JSON file; parts add facts of their own.
 * @property {Result} result
 * @property {string} [reason] why it is not passed
 * @property {string} [figure] what the table shows of it
 * @property {string} [text] a table of its own, shown before the closing one
 * @property {readonly string[]} [output] last lines of a program that failed
 * @property {number} [seconds]
 */

/** Time limits of the parts in seconds, in order: under 10 minutes with what unpacking and writing need. */
export const LIMITS = {
  machine: 20,
  conformance: 200,
  timing: 40,
  micro: 15,
  chapter: 75,
  cpu: 60,
  sanitizer: 90,
  pytorch: 60,
};

/** Exit codes: the same meanings as the command line's. */
export const EXIT = { passed: 0, failed: 1, usage: 2, noDevice: 4 };

/** Reasons of the probe that mean: this machine has no GPU that could be used. All others are failures. */
const ABSENT = ['NO_DRIVER', 'NO_DEVICE', 'STUB_LIBRARY'];
const TOO_OLD = ['DRIVER_TOO_OLD', 'TOO_OLD_DEVICE'];

/**
 * Whether there is a GPU to check. One that nvidia-smi lists and the addon does not find is broken, not absent.
 *
 * @param {{ available: boolean, stages: readonly { name: string, outcome: string, detail: string, reason?: string }[] }} cuda
 *   what `doctor --json` says of CUDA
 * @param {number} listed how many GPUs nvidia-smi lists
 * @returns {{ state: 'present' | 'absent' | 'broken', reason?: string }}
 */
export function deviceState(cuda, listed) {
  if (cuda.available) return { state: 'present' };
  const stage = cuda.stages.find(({ outcome }) => outcome === 'failed');
  const code = stage?.reason ?? '';
  const absent = TOO_OLD.includes(code) || (ABSENT.includes(code) && listed === 0);
  return { state: absent ? 'absent' : 'broken', reason: `${stage?.name}: ${stage?.detail} (${code})` };
}

/**
 * Whether a dotted version is at least another.
 *
 * @param {string} version
 * @param {string} minimum
 */
export function atLeast(version, minimum) {
  return version.localeCompare(minimum, 'en', { numeric: true }) >= 0;
}

/**
 * One failure outweighs everything; a missing device comes next. What was skipped for a reason does not count.
 *
 * @param {Readonly<Record<string, Part>>} parts
 */
export function exitCode(parts) {
  const results = Object.values(parts).map(({ result }) => result);
  if (results.includes('failed')) return EXIT.failed;
  return results.includes('no device') ? EXIT.noDevice : EXIT.passed;
}

/** Characters of a reason that the table shows. */
const WIDTH = 100;

/**
 * The table: part, result, key figure or reason.
 *
 * @param {Readonly<Record<string, Part>>} parts
 */
export function table(parts) {
  const rows = Object.entries(parts).map(([name, { result, figure, reason }]) => {
    const text = [reason, figure].filter(Boolean).join('; ').replaceAll(/\s+/g, ' ');
    return [name, result, text.length > WIDTH ? `${text.slice(0, WIDTH - 3)}...` : text];
  });
  const all = [['part', 'result', 'key figure'], ...rows];
  const widths = [0, 1].map((column) => Math.max(...all.map((row) => row[column].length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/**
 * The parts' own tables, each under the part's name; empty if there are none.
 *
 * @param {Readonly<Record<string, Part>>} parts
 */
export function texts(parts) {
  return Object.entries(parts)
    .flatMap(([name, { text }]) => (text === undefined ? [] : [`${name}\n${text}\n\n`]))
    .join('');
}

/**
 * A number with three significant digits, and no exponent.
 *
 * @param {number} value
 */
export function short(value) {
  return value >= 100 ? value.toFixed(0) : Number(value.toPrecision(3)).toString();
}
