/** Whether every case of the conformance suite ran for every backend, by what cargo's test runners print. */

/** Each backend's module of the suite, by the names of tests: `module::case`. No other module has these names. */
export const SUITES = {
  oracle: 'oracle_suite',
  'cpu, fastest path': 'conformance',
  'cpu, portable': 'portable',
  'cpu, bf16': 'bf16',
  emulator: 'emulator_suite',
  'emulator, clusters, fp32': 'cluster_fp32',
  'emulator, clusters, tf32': 'cluster_tf32',
  'emulator, clusters, bf16': 'cluster_bf16',
  'emulator, words, fp32': 'words_fp32',
  'emulator, words, tf32': 'words_tf32',
  'emulator, words, bf16': 'words_bf16',
};

/** Under the driver that stands in for a GPU's; the cases at the chapter's sizes take it too long. */
export const DRIVER_SUITE = { 'emulated driver': 'steps' };

/** For a GPU, on the kernels that it chooses, and on those whose blocks exchange words in device memory. Of these the driver that stands in runs {@link GPU_CASE} alone. */
export const GPU_SUITES = {
  'GPU, fp32': 'conformance',
  'GPU, tf32': 'conformance_tf32',
  'GPU, bf16': 'conformance_bf16',
  'GPU, words': 'words',
};
export const GPU_CASE = 'evaluation_equals_the_oracle';

/** Words in the names of the cases that run at the chapter's sizes. */
export const CHAPTER = 'chapters_sizes';

/** The cases: the functions of crates/gru-core/src/conformance.rs that take a backend and a tolerance. */
export function casesOf(source) {
  return [...source.matchAll(/^pub fn (\w+)\(make: Make, \w+: Tolerance\)/gm)].map(([, name]) => name);
}

/**
 * The tests of the suites that `npm run test:long` alone runs: by words the cases that take longest, since a test
 * compares the bits of words with those of clusters; in clusters on tensor cores training, of which the gradients are
 * compared, and which in fp32 runs.
 */
export function longCases(cases) {
  const isTraining = (name) => name.startsWith('training_equals');
  const isSlow = {
    words_: (name) => isTraining(name) || name.includes(CHAPTER) || /^(text_equals|the_same_run)/.test(name),
    cluster_tf32: isTraining,
    cluster_bf16: isTraining,
  };
  return Object.entries(isSlow).flatMap(([begin, slow]) => {
    const modules = Object.values(SUITES).filter((module) => module.startsWith(begin));
    return modules.flatMap((module) => cases.filter(slow).map((name) => `${module}::${name}`));
  });
}

/** Each backend for which a case is not among the tests that passed nor among those that were left out, in words. */
export function missingCases(stdout, suites, cases, leftOut = []) {
  const passed = new Set([...stdout.matchAll(/^test (\S+) \.\.\. ok$/gm)].map(([, name]) => name));
  return Object.entries(suites).flatMap(([backend, module]) =>
    cases
      .filter((name) => !leftOut.includes(`${module}::${name}`) && !passed.has(`${module}::${name}`))
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
