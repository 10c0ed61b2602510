/** The gate of scripts/test.mjs on the conformance suite, shown to notice what is missing. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const { casesOf, DRIVER_SUITE, GPU_CASE, GPU_SUITES, longCases, missingCases, SUITES, secondsOf } =
  await import(new URL('../scripts/conformance.mjs', import.meta.url).href);

const SOURCE = readFileSync(new URL('../crates/gru-core/src/conformance.rs', import.meta.url), 'utf8');
const cases: string[] = casesOf(SOURCE);
const modules: string[] = Object.values(SUITES);

/** What cargo prints when every case passes for every backend. */
function printed(): string {
  return modules
    .map((module, index) => {
      const tests = cases.map((name) => `test ${module}::${name} ... ok\n`).join('');
      return `\nrunning ${cases.length} tests\n${tests}\ntest result: ok. ${cases.length} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in ${index}.50s\n`;
    })
    .join('');
}

test('the cases are read from the suite', () => {
  expect(cases.length).toBeGreaterThanOrEqual(13);
  expect(cases).toContain('wrong_arguments_are_refused');
  expect(cases).toContain(GPU_CASE);
  expect(cases).not.toContain('train_as_the_chapter');
});

test('every module that runs the suite is in the table', () => {
  const crates = fileURLToPath(new URL('../crates', import.meta.url));
  const found = readdirSync(crates, { recursive: true, encoding: 'utf8' })
    .filter((name) => /[/\\]tests[/\\].*\.rs$/.test(name))
    .flatMap((name) => {
      const source = readFileSync(join(crates, name), 'utf8');
      const modules = source.split(/^mod (?=\w+ \{)/m).filter((text) => text.includes('conformance_suite!('));
      const ofPairs = [...source.matchAll(/^persistent_suite!\((\w+),/gm)].map(([, name]) => name);
      return [...modules.map((text) => /^\w+/.exec(text)?.[0]), ...ofPairs];
    });
  const ofGpu = [DRIVER_SUITE, GPU_SUITES].flatMap((suites) => Object.values<string>(suites));
  expect(found.toSorted()).toEqual([...modules, ...ofGpu].toSorted());
});

test('nothing is missing when all ran', () => {
  expect(missingCases(printed(), SUITES, cases)).toEqual([]);
});

test.each(modules)('a case that is dropped, ignored or failed in %s is missed', (module) => {
  const line = `test ${module}::${cases[4]} ... ok\n`;
  for (const instead of ['', line.replace('ok', 'ignored'), line.replace('ok', 'FAILED')]) {
    const missing = missingCases(printed().replace(line, instead), SUITES, cases);
    expect(missing).toHaveLength(1);
    expect(missing[0]).toContain(cases[4]);
  }
});

test('a backend whose suite is gone misses every case', () => {
  expect(missingCases(printed(), { ...SUITES, another: 'another_suite' }, cases)).toHaveLength(cases.length);
});

test('the time is that of the program which ran the module', () => {
  expect(secondsOf(printed(), SUITES.emulator)).toBe(modules.indexOf(SUITES.emulator) + 0.5);
  expect(secondsOf(printed(), 'another_suite')).toBeUndefined();
});

test('what only the long run has is not missed, and is little', () => {
  const leftOut: string[] = longCases(cases);
  expect(leftOut).toHaveLength(19);
  // All of it runs for the plain kernels, and in fp32 for clusters.
  expect(leftOut.every((name) => /^(words_|cluster_tf32|cluster_bf16)/.test(name))).toBe(true);
  const without = leftOut.reduce((text, name) => text.replace(`test ${name} ... ok\n`, ''), printed());
  expect(missingCases(without, SUITES, cases, leftOut)).toEqual([]);
  expect(missingCases(without, SUITES, cases)).toHaveLength(19);
});
