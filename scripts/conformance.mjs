/** Whether every case of the conformance suite ran for every backend, by what cargo's test runners print. */

/** Each backend's module of the suite, by the names of tests: `module::case`. No other module has these names. */
export const SUITES = {
  oracle: 'oracle_suite',
  'cpu, fastest path': 'conformance',
  'cpu, portable': 'portable',
  'cpu, bf16': 'bf16',
  emulator: 'emulator_suite',
};

/** Under the driver that stands in for a GPU's; the cases at the chapter's sizes take it too long. */
export const DRIVER_SUITE = { 'emulated driver': 'conformance' };

/** Words in the names of the cases that run at the chapter's sizes. */
export const CHAPTER = 'chapters_sizes';

/** The cases: the functions of crates/gru-core/src/conformance.rs that take a backend and a tolerance. */
export function casesOf(source) {
  return [...source.matchAll(/^pub fn (\w+)\(make: Make, \w+: Tolerance\)/gm)].map(([, name]) => name);
}

/** Each backend for which a case is not among the tests that passed, in words. */
export function missingCases(stdout, suites, cases) {
  const passed = new Set([...stdout.matchAll(/^test (\S+) \.\.\. ok$/gm)].map(([, name]) => name));
  return Object.entries(suites).flatMap(([backend, module]) =>
    cases
      .filter((name) => !passed.has(`${module}::${name}`))
      .map(
        (name) => `expected ${name} of the conformance suite to pass for ${backend}, received no such test`,
      ),
  );
}

/** Seconds that the test program took which ran this module; undefined if none did. */
export function secondsOf(stdout, module) {
  const programs = stdout.split(/^running \d+ tests?$/m).slice(1);
  const program = programs.find((text) => new RegExp(`^test ${module}::`, 'm').test(text));
  const seconds = /^test result: .* finished in ([\d.]+)s$/m.exec(program ?? '')?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}
