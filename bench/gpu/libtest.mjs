/** What a compiled Rust test binary prints: the list of its tests, and how each of them ended. */

/**
 * @typedef {object} Test
 * @property {string} name
 * @property {'passed' | 'failed' | 'ignored' | 'not finished' | 'not run'} result
 * @property {number} [seconds]
 */

/**
 * The names in the output of `--list --format terse`.
 *
 * @param {string} stdout
 */
export function listedTests(stdout) {
  return [...stdout.matchAll(/^(\S+): test$/gm)].map(([, name]) => name);
}

/** @type {Readonly<Record<string, Test['result']>>} */
const RESULTS = { ok: 'passed', FAILED: 'failed', ignored: 'ignored' };

/**
 * How each listed test ended, by the lines of a run with `--test-threads=1`, which prints a name before the test
 * begins and the result behind it. What a test without a result was doing is told apart from one that never began.
 *
 * @param {readonly string[]} names
 * @param {readonly { line: string, seconds: number }[]} lines with the time at which each was whole
 * @returns {Test[]}
 */
export function testResults(names, lines) {
  /** @type {Map<string, Omit<Test, 'name'>>} */
  const found = new Map();
  let before = 0;
  for (const { line, seconds } of lines) {
    const match = /^test (\S+)(?: - should panic)? \.\.\. ?(?:(ok|FAILED|ignored)\b.*)?/.exec(line);
    if (match === null) continue;
    const [, name, word] = match;
    found.set(
      name,
      word === undefined ? { result: 'not finished' } : { result: RESULTS[word], seconds: seconds - before },
    );
    before = seconds;
  }
  return names.map((name) => ({ name, ...(found.get(name) ?? { result: 'not run' }) }));
}

/**
 * What is wrong with a run of tests, as sentences; none when every listed test passed. An empty list does not pass.
 *
 * @param {readonly Test[]} tests
 */
export function testProblems(tests) {
  if (tests.length === 0) return ['expected a list of tests, received an empty one'];
  const missing = tests.filter(({ result }) => result === 'not run');
  const others = tests.filter(({ result }) => result !== 'passed' && result !== 'not run');
  return [
    ...others.map(({ name, result }) => `${name}: ${result}`),
    ...(missing.length > 0 ? [`${missing.length} not run, the first of them ${missing[0].name}`] : []),
  ];
}
