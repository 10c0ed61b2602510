/** The gates on the committed kernels, each shown to catch what it is for; no compiler is needed. */

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const SCRIPT = new URL('../scripts/kernels.mjs', import.meta.url);
const {
  budgetProblems,
  lowerVersion,
  machinePaths,
  manifestText,
  moduleEntry,
  parseDependencies,
  parseUsage,
  sourceFiles,
  treeProblems,
} = await import(SCRIPT.href);

const REPORT = `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'update' for 'sm_80'
ptxas info    : Function properties for update
    536 bytes stack frame, 880 bytes spill stores, 900 bytes spill loads
ptxas info    : Used 32 registers, used 0 barriers, 536 bytes cumulative stack size, 372 bytes cmem[0], 8 bytes cmem[2]
ptxas info    : Compile time = 76.969 ms
ptxas info    : Compiling entry function 'step' for 'sm_80'
ptxas info    : Function properties for step
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 14 registers, used 1 barriers, 1024 bytes smem
ptxas info    : Compile time = 2.630 ms
`;

const STEP = { registers: 14, sharedBytes: 1024, stackBytes: 0, spillStoreBytes: 0, spillLoadBytes: 0 };
const PTX = '//\n.version 9.0\n.target sm_80\n.address_size 64\n';

describe('texts of the compiler', () => {
  test('the report of ptxas gives registers, shared and constant memory, stack and spills', () => {
    expect(parseUsage(REPORT)).toEqual({
      step: STEP,
      update: {
        registers: 32,
        sharedBytes: 0,
        stackBytes: 536,
        spillStoreBytes: 880,
        spillLoadBytes: 900,
        constantBytes: 380,
      },
    });
  });

  test('a function that is not inlined, and a report without a kernel, are errors', () => {
    const called = REPORT.replace(/ptxas info {4}: Used 14.*\n/, '');
    expect(() => parseUsage(called)).toThrow('for step');
    expect(() => parseUsage('')).toThrow('received none');
  });

  test('the version of a PTX is lowered and nothing else', () => {
    expect(lowerVersion(PTX, '7.8')).toBe('//\n.version 7.8\n.target sm_80\n.address_size 64\n');
    expect(() => lowerVersion('.target sm_80\n', '7.8')).toThrow('received 0');
    expect(() => lowerVersion(PTX + PTX, '7.8')).toThrow('received 2');
  });

  test('the pragma that older versions do not know is left out, no other', () => {
    const load = '\tld.param.v2.u32 {%r1, %r2}, [p];\n';
    const text = `${PTX}\t.pragma "used_bytes_mask 15";\n${load}\t.pragma "nounroll";\n`;
    expect(lowerVersion(text, '9.0')).toBe(`${PTX}${load}\t.pragma "nounroll";\n`);
  });

  test('absolute paths are found in a PTX and in the bytes of its strings', () => {
    const bytes = [...Buffer.from('/opt/a/b.cu')].join(', ');
    expect(machinePaths(PTX)).toEqual([]);
    expect(machinePaths(`${PTX}.file 1 "/opt/a.cu"\n`)).toEqual(['/opt/a.cu']);
    expect(machinePaths(`.global .align 1 .b8 $str[12] = {${bytes}};`)).toEqual(['/opt/a/b.cu']);
    expect(machinePaths(`.file 1 "kernels/step/a.cu"\n`)).toEqual([]);
  });

  test('a dependency list is read over its line breaks', () => {
    expect(parseDependencies('m.ptx : m.cu \\\n    /a\\ b/c.h \\\n    d.cuh\n')).toEqual([
      'm.cu',
      '/a b/c.h',
      'd.cuh',
    ]);
  });
});

describe('the manifest', () => {
  let root: string;
  const module = {
    name: 'tiny',
    source: 'kernels/module.cu',
    ptx: 'kernels/tiny.ptx',
    architecture: '80',
    ptxVersion: '7.8',
    targets: ['sm_80', 'sm_120'],
  };
  const problems = (modules = [module]): string =>
    treeProblems(root, modules, JSON.parse(readFileSync(join(root, 'manifest.json'), 'utf8'))).join('\n');
  const write = (path: string, text: string) => writeFileSync(join(root, path), text);

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'gru-native-kernels-test-'));
    mkdirSync(join(root, 'kernels'));
    mkdirSync(join(root, 'shared'));
    write('kernels/module.cu', '#include <cuda_bf16.h>\n#include "step.cu"\n');
    write('kernels/step.cu', '  #  include "../shared/sum.cuh"\n#include "host.hpp"\n');
    write('shared/sum.cuh', '#include "../kernels/step.cu"\n');
    const ptx = lowerVersion(PTX, '7.8');
    write('kernels/tiny.ptx', ptx);
    const entry = moduleEntry(root, module, ptx, { sm_80: { step: STEP }, sm_120: { step: STEP } });
    write('manifest.json', manifestText({ tiny: entry }));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  test('lists every included kernel file once and agrees with an untouched tree', () => {
    expect(sourceFiles(root, module.source)).toEqual([
      'kernels/module.cu',
      'kernels/step.cu',
      'shared/sum.cuh',
    ]);
    expect(problems()).toBe('');
  });

  test.each(['kernels/module.cu', 'kernels/step.cu', 'shared/sum.cuh'])('catches a changed %s', (file) => {
    write(file, `${readFileSync(join(root, file), 'utf8')}// a word more\n`);
    expect(problems()).toMatch(
      new RegExp(`^${file}: expected [0-9a-f]{64} by the manifest, received [0-9a-f]{64}$`),
    );
  });

  test('catches a file that is included newly, no longer, or missing', () => {
    copyFileSync(join(root, 'shared/sum.cuh'), join(root, 'kernels/new.cuh'));
    write('kernels/step.cu', '#include "new.cuh"\n');
    expect(problems()).toMatch(/shared\/sum\.cuh: expected \w+ by the manifest, received undefined/);
    expect(problems()).toMatch(/kernels\/new\.cuh: expected undefined by the manifest, received \w+/);
    rmSync(join(root, 'kernels/new.cuh'));
    expect(() => problems()).toThrow('kernels/new.cuh');
  });

  test('catches an edited, another or a missing PTX', () => {
    write('kernels/tiny.ptx', `${lowerVersion(PTX, '7.8')}// a word more\n`);
    expect(problems()).toMatch(/^kernels\/tiny\.ptx: expected \w{64} by the manifest, received \w{64}$/);
    write('kernels/tiny.ptx', PTX.replace('sm_80', 'sm_90'));
    expect(problems()).toContain('.version: expected 7.8 by the manifest, received 9.0');
    expect(problems()).toContain('.target: expected sm_80 by the manifest, received sm_90');
    rmSync(join(root, 'kernels/tiny.ptx'));
    expect(problems()).toContain('received nothing there');
  });

  test('catches other flags, targets and modules', () => {
    expect(problems([{ ...module, architecture: '90' }])).toContain('flags of nvcc for tiny');
    expect(problems([{ ...module, targets: ['sm_80'] }])).toContain('targets of tiny');
    expect(problems([module, { ...module, name: 'other' }])).toContain('modules');
  });
});

describe('the budget', () => {
  const manifest = (usage: object) => ({
    modules: { tiny: { targets: { sm_80: { step: { ...STEP, ...usage } }, sm_120: { step: STEP } } } },
  });
  const budget = { tiny: { step: { registers: 14, sharedBytes: 1024 } } };

  test('holds at its limits', () => {
    expect(budgetProblems(manifest({}), budget)).toEqual([]);
  });

  test.each([
    ['registers', 15, 14],
    ['sharedBytes', 1025, 1024],
    ['stackBytes', 8, 0],
    ['spillStoreBytes', 4, 0],
    ['spillLoadBytes', 4, 0],
  ])('catches too many %s', (what, received, limit) => {
    expect(budgetProblems(manifest({ [what]: received }), budget)).toEqual([
      `tiny, step, sm_80: expected at most ${limit} ${what}, received ${received}`,
    ]);
  });

  test('catches a limit that is missing or no number, and a usage that is missing', () => {
    expect(budgetProblems(manifest({}), { tiny: { step: { registers: 14 } } })).toHaveLength(2);
    expect(budgetProblems(manifest({ registers: undefined }), budget)).toHaveLength(1);
  });

  test('catches a kernel without a budget and a budget without a kernel or a module', () => {
    expect(budgetProblems(manifest({}), {})).toEqual(['tiny, step: expected a budget, received none']);
    expect(budgetProblems(manifest({}), { tiny: { ...budget.tiny, gone: budget.tiny.step } })).toEqual([
      'tiny, gone: expected the kernel on sm_80, received none',
      'tiny, gone: expected the kernel on sm_120, received none',
    ]);
    expect(budgetProblems(manifest({}), { ...budget, gone: {} })).toEqual([
      'gone: expected a module of this name for its budget, received none',
    ]);
  });

  test('catches a kernel that one target lacks', () => {
    const lacking = { modules: { tiny: { targets: { sm_80: { step: STEP }, sm_120: {} } } } };
    expect(budgetProblems(lacking, budget)).toEqual([
      'tiny, step: expected the kernel on sm_120, received none',
    ]);
  });
});
