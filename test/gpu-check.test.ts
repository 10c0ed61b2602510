/**
 * The program behind `npm run gpu:check`, without a GPU: its pure parts, and whole runs in folders where scripts
 * stand in for the programs of a bundle.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ABSENT, check, FOLDER, fakeBundle, runs } from './gpu-check-bundle.js';

const load = (name: string) => import(new URL(name, FOLDER).href);
const { listedTests, testProblems, testResults } = await load('libtest.mjs');
const { atLeast, deviceState, exitCode, LIMITS, table } = await load('verdict.mjs');
const { cpuProblems, readTraining } = await load('chapter.mjs');
const { judgeModes, sanitizerProblem } = await load('parts.mjs');

describe('tests of a Rust binary', () => {
  const names = ['suite::a', 'b', 'c', 'd'];
  const at = (...lines: string[]) => lines.map((line, index) => ({ line, seconds: index }));

  test('the list is read', () => {
    expect(listedTests('suite::a: test\nb: test\nbench: benchmark\n\n2 tests, 1 benchmark\n')).toEqual([
      'suite::a',
      'b',
    ]);
  });

  test('every listed test gets its result, also one that hung and one that never began', () => {
    const lines = at(
      'running 4 tests',
      'test suite::a ... ok',
      'test b - should panic ... FAILED',
      'test c ... ',
    );
    expect(testResults(names, lines)).toEqual([
      { name: 'suite::a', result: 'passed', seconds: 1 },
      { name: 'b', result: 'failed', seconds: 1 },
      { name: 'c', result: 'not finished' },
      { name: 'd', result: 'not run' },
    ]);
    expect(testProblems(testResults(names, lines))).toEqual([
      'b: failed',
      'c: not finished',
      '1 not run, the first of them d',
    ]);
  });

  test('an ignored test and an empty list do not pass', () => {
    expect(testProblems(testResults(['a'], at('test a ... ignored, too slow')))).toEqual(['a: ignored']);
    expect(testProblems([])).toHaveLength(1);
  });
});

describe('the verdict', () => {
  const failedAt = (reason: string) => ({
    available: false,
    stages: [{ name: 'a stage', outcome: 'failed', detail: 'words', reason }],
  });

  test.each([
    ['NO_DRIVER', 0, 'absent'],
    ['NO_DEVICE', 0, 'absent'],
    ['NO_DRIVER', 1, 'broken'],
    ['TOO_OLD_DEVICE', 1, 'absent'],
    ['INIT_FAILED', 0, 'broken'],
    ['SELF_TEST_FAILED', 1, 'broken'],
  ])('%s where nvidia-smi lists %i GPUs: %s', (reason, listed, state) => {
    expect(deviceState(failedAt(reason), listed).state).toBe(state);
  });

  test('versions are compared by number', () => {
    expect(atLeast('2.36', '2.34')).toBe(true);
    expect(atLeast('2.9', '2.34')).toBe(false);
  });

  test('a failure outweighs a missing device, which outweighs the rest', () => {
    const code = (...results: string[]) =>
      exitCode(Object.fromEntries(results.map((result) => [result, { result }])));
    expect(code('passed', 'skipped')).toBe(0);
    expect(code('passed', 'failed', 'no device')).toBe(1);
    expect(code('no device', 'skipped')).toBe(4);
  });

  test('the table shows reason and figure in columns', () => {
    const parts = {
      timing: { result: 'passed', figure: '1 µs' },
      chapter: { result: 'failed', reason: 'off\nby one', figure: '2 s' },
    };
    expect(table(parts).split('\n')).toEqual([
      'part     result  key figure',
      'timing   passed  1 µs',
      'chapter  failed  off by one; 2 s',
    ]);
  });

  test('all the time limits together stay under 10 minutes', () => {
    const limits = Object.values<number>(LIMITS);
    expect(limits.reduce((sum, seconds) => sum + seconds)).toBeLessThanOrEqual(570);
  });
});

describe('what the programs print', () => {
  test('a training is read without its samples, and with its last line cut off', () => {
    const lines = [
      '{"v":1,"type":"start","device":"cuda:0"}',
      '{"v":1,"type":"epoch","perplexity":5,"seconds":0.5}',
      '{"v":1,"type":"sample","text":"x"}',
      '{"v":1,"type":"epoch","perplex',
    ];
    expect(readTraining(lines.join('\n'))).toEqual({
      device: 'cuda:0',
      perplexity: [5],
      seconds: [0.5],
      ended: false,
    });
  });

  test('the first epochs have to be those of the CPU', () => {
    expect(cpuProblems([500, 400.1], [500.1, 400])).toEqual([]);
    expect(cpuProblems([500, 410], [500, 400])[0]).toContain('epoch 2');
    expect(cpuProblems([], [500, 400])).toHaveLength(2);
    expect(cpuProblems([500], [])).toHaveLength(1);
  });

  test('a sanitizer passes only if its summary says so and the test ran', () => {
    const finished = (stdout: string, code = 0) => ({
      code,
      stdout,
      stderr: '',
      seconds: 1,
      problem: undefined,
    });
    const ran = 'test result: ok. 1 passed; 0 failed\n';
    expect(sanitizerProblem(finished(`${ran}========= ERROR SUMMARY: 0 errors\n`))).toBeUndefined();
    const races = '========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)\n';
    expect(sanitizerProblem(finished(ran + races))).toBeUndefined();
    expect(sanitizerProblem(finished(`${ran}========= ERROR SUMMARY: 2 errors\n`))).toContain('2 errors');
    expect(sanitizerProblem(finished(ran))).toContain('no summary');
    expect(sanitizerProblem(finished('========= ERROR SUMMARY: 0 errors\n'))).toContain('did not run');
    expect(sanitizerProblem(finished(ran, 9))).toBe('exit code 9');
  });

  test('PyTorch is compared with us, and its graph with itself', () => {
    const said = (graph: number) => ({
      code: 0,
      stderr: '',
      stdout: `{"mode":"eager","secondsPerEpoch":0.04,"perplexity":270}\n{"mode":"graph","secondsPerEpoch":0.02,"perplexity":${graph}}\n`,
    });
    expect(judgeModes(said(270.5), 0.01)).toMatchObject({
      result: 'passed',
      figure:
        'eager 40 ms an epoch (4 times ours; at least 10 times faster: no), ' +
        'graph 20 ms an epoch (2 times ours; at least 10 times faster: no)',
      modes: [{ tenTimesFaster: false }, { tenTimesFaster: false }],
    });
    const { figure, modes } = judgeModes(said(270.5), 0.003);
    expect(modes.map(({ tenTimesFaster }: { tenTimesFaster: boolean }) => tenTimesFaster)).toEqual([
      true,
      false,
    ]);
    expect(figure).toContain('eager 40 ms an epoch (13.3 times ours; at least 10 times faster: yes)');
    expect(judgeModes(said(300), 0.01).result).toBe('failed');
    expect(judgeModes({ code: 0, stderr: '', stdout: '{"skipped":"no GPU"}\n' }, 0.01)).toEqual({
      result: 'skipped',
      reason: 'no GPU',
    });
  });
});

describe.concurrent('whole runs', () => {
  test('everything passes: 0', async () => {
    const { code, results, parts, stdout } = await check(fakeBundle({}));
    expect(new Set(Object.values(results))).toEqual(new Set(['passed']));
    expect(code).toBe(0);
    expect(parts.conformance.tests.map(({ name }: { name: string }) => name)).toEqual(['a', 'b::c']);
    expect(parts.timing.figure).toContain('kernels loaded in 2 s cold, 0.01 s warm');
    expect(parts.machine.figure).toBe('Stand-in, compute capability 9.0, CUDA 12.4');
    expect(parts.chapter.figure).toContain('training loop 1 s adjacent');
    expect(parts.timing.text).toMatch(/^µs of an update +fp32, cluster_fp32_256 /);
    expect(parts.timing.times.paths).toHaveLength(6);
    expect(parts.micro.figure).toContain('st.async and back 420 cycles');
    expect(parts.chapter.figures.map(({ precision }: { precision: string }) => precision)).toEqual([
      'fp32',
      'tf32',
      'bf16',
    ]);
    expect(parts.pytorch.modes[0].ratio).toBeCloseTo(2);
    expect(parts.cpu.figure).toContain('2 of 2 tests passed, avx2 with 2 threads 25.0 ms an update');
    expect(parts.cpu.speeds[0].path).toBe('avx2');
    expect(stdout).toMatch(/\ntiming\nµs of an update .*\nforward recurrence /);
    expect(stdout).toMatch(/\nround_trip_async +420 cycles +a word there and back\n/);
    expect(stdout).toMatch(/\nchapter\nfp32 loop 1 s of 0\.6 \(not reached\), wall /);
    expect(stdout).toMatch(/\npart +result +key figure\n(?:.+\n){8}$/);
  });

  test('what needs clusters is skipped where there are none', async () => {
    const { code, parts } = await check(fakeBundle({ micro: { skipped: 'no clusters' } }), [
      '--parts',
      'micro',
    ]);
    expect([code, parts.micro.result, parts.micro.reason]).toEqual([0, 'skipped', 'no clusters']);
  });

  test('one test fails: 1', async () => {
    const tests = "printf 'test a ... ok\\ntest b::c ... FAILED\\nbecause\\n'; exit 101";
    const { code, parts } = await check(fakeBundle({ tests }), ['--parts', 'conformance']);
    expect(code).toBe(1);
    expect(parts.conformance).toMatchObject({ result: 'failed', reason: 'exit code 101, b::c: failed' });
    expect(parts.conformance.output).toContain('because');
    expect(parts.timing).toMatchObject({ result: 'skipped', reason: 'not asked for' });
  });

  test('fewer tests run than are listed: 1', async () => {
    const { code, parts } = await check(fakeBundle({ tests: "echo 'test a ... ok'" }), [
      '--parts',
      'conformance',
    ]);
    expect(code).toBe(1);
    expect(parts.conformance).toMatchObject({
      reason: '1 not run, the first of them b::c',
      figure: '1 of 2 tests passed',
    });
  });

  test('no device: 4, and every part says so, but for the processor', async () => {
    const { code, results } = await check(fakeBundle({ cuda: ABSENT }));
    const { cpu, ...others } = results;
    expect(new Set(Object.values(others))).toEqual(new Set(['no device']));
    expect(cpu).toBe('passed');
    expect(code).toBe(4);
  });

  test('a part that hangs fails by its time limit, and ends with its children', async () => {
    const folder = fakeBundle({ tests: `printf 'test a ... '; sleep 60 & echo $! > "\${0%/*}/pid"; wait` });
    const { code, parts } = await check(folder, ['--parts', 'conformance', '--limit', 'conformance=1.5']);
    expect(code).toBe(1);
    expect(parts.conformance.reason).toMatch(
      /^not finished within 1\.\d s, a: not finished, 1 not run, the first of them b::c$/,
    );
    expect(runs(readFileSync(join(folder, 'tests/pid'), 'utf8').trim())).toBe(false);
  });

  test('Ctrl-C ends what runs and leaves a result', async () => {
    const { code, results } = await check(fakeBundle({ tests: 'sleep 60' }), [], (text, stop) => {
      if (text.includes('conformance')) setTimeout(stop, 200);
    });
    expect(code).toBe(130);
    expect(results).toMatchObject({ machine: 'passed', conformance: 'failed', timing: 'skipped' });
  });

  test('the perplexities of the chapter decide, where its corpus is there', async () => {
    const good = await check(fakeBundle({ jaychou: true }), ['--parts', 'chapter']);
    expect(good.code).toBe(0);
    const wrong = await check(fakeBundle({ jaychou: true, perplexity: 4 }), ['--parts', 'chapter']);
    expect(wrong.code).toBe(1);
    expect(wrong.parts.chapter.reason).toContain('adjacent, epoch 100: expected perplexity 3.12');
    expect(wrong.parts.chapter.reason).toContain('bf16, adjacent, epoch 100: expected perplexity 3.12');
  });
});
