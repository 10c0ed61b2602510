/** The arrows of ARCHITECTURE.md, read from the imports; and the size of files. */

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');

/** Every file of src/, from the leaves up: a file imports only from files above it in this list. */
const ORDER = [
  'display.ts',
  'own-files.ts',
  'errors.ts',
  'atomic-file.ts',
  'regular-file.ts',
  'package-version.ts',
  'config.ts',
  'random.ts',
  'perplexity.ts',
  'clipping.ts',
  'schedule.ts',
  'batches.ts',
  'unknown.ts',
  'vocabulary.ts',
  'variants.ts',
  'nearest.ts',
  'reading.ts',
  'events.ts',
  'position.ts',
  'divergence.ts',
  'download.ts',
  'utf8.ts',
  'growing-bytes.ts',
  'encoding.ts',
  'nfc.ts',
  'lrc.ts',
  'zip.ts',
  'gzip.ts',
  'named-corpora.ts',
  'sources.ts',
  'corpus.ts',
  'corpus-facts.ts',
  'platform.ts',
  'installer.ts',
  'addon-file.ts',
  'addon-failure.ts',
  'native.ts',
  'cuda-probe.ts',
  'output-directory.ts',
  'kept-models.ts',
  'device.ts',
  'sampling.ts',
  'generator.ts',
  'evaluation.ts',
  'trainer.ts',
  'event-log.ts',
  'model-file.ts',
  'model.ts',
  'checkpoint.ts',
  'resuming.ts',
  'setup.ts',
  'train.ts',
  'index.ts',
  'cli/exit.ts',
  'cli/width.ts',
  'cli/table.ts',
  'cli/options.ts',
  'cli/stop.ts',
  'cli/live-line.ts',
  'cli/notes.ts',
  'cli/views.ts',
  'cli/train.ts',
  'cli/generate.ts',
  'cli/eval.ts',
  'cli/inspect.ts',
  'cli/corpus-check.ts',
  'cli/corpus.ts',
  'cli/cuda-report.ts',
  'cli/limits.ts',
  'cli/doctor-facts.ts',
  'cli/doctor-text.ts',
  'cli/kernels-text.ts',
  'cli/doctor.ts',
  'cli/program.ts',
  'cli/main.ts',
];

/** Files under a folder of the project with one of the endings. */
function filesOf(folder: string, ...endings: string[]): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => endings.some((ending) => name.endsWith(ending)))
    .map((name) => join(folder, name).replaceAll('\\', '/'));
}

/** Modules that a TypeScript file imports, statically or not. */
function importsOf(file: string): string[] {
  const source = readFileSync(join(ROOT, file), 'utf8');
  return [...source.matchAll(/(?:\bfrom|\bimport\(?)\s*'([^']+)'/g)].map((match) => match[1] as string);
}

describe('src/', () => {
  const files = filesOf('src', '.ts').map((file) => file.slice('src/'.length));

  test('every file has its place in the order', () => {
    expect(files.toSorted()).toEqual(ORDER.toSorted());
  });

  test.each(files)('%s imports only from below', (file) => {
    for (const target of importsOf(join('src', file)).filter((name) => name.startsWith('.'))) {
      const path = relative(join(ROOT, 'src'), resolve(ROOT, 'src', dirname(file), target)).replace(
        /\.js$/,
        '.ts',
      );
      if (path === join('..', 'index.ts')) {
        expect(file, 'only native.ts may name the binding').toBe('native.ts');
        continue;
      }
      expect(ORDER.indexOf(path), `${file} imports ${path}`).toBeGreaterThanOrEqual(0);
      expect(ORDER.indexOf(path), `${file} imports ${path}`).toBeLessThan(ORDER.indexOf(file));
    }
  });

  test('only native.ts loads the addon, only the CLI knows commander, only zip.ts fflate, only sources.ts picomatch', () => {
    for (const file of files) {
      const source = readFileSync(join(ROOT, 'src', file), 'utf8');
      if (file !== 'native.ts') expect(source, file).not.toMatch(/\.node['"`]/);
      const imports = importsOf(join('src', file));
      if (!file.startsWith('cli/')) expect(imports, file).not.toContain('commander');
      if (file !== 'zip.ts') expect(imports, file).not.toContain('fflate');
      if (file !== 'sources.ts') expect(imports, file).not.toContain('picomatch');
    }
  });

  test('the table of characters is loaded only where an unknown one asks for it', () => {
    const importers = (module: string) =>
      files.filter((file) => importsOf(join('src', file)).some((name) => name.endsWith(module)));
    expect(importers('/variants.js')).toEqual(['nearest.ts']);
    expect(importers('/nearest.js')).toEqual(['reading.ts']);
    const source = readFileSync(join(ROOT, 'src/reading.ts'), 'utf8');
    expect(source.match(/.*'\.\/nearest\.js'.*/g)).toEqual([expect.stringMatching(/ await import\(/)]);
  });
});

test('only gru-napi names napi, and it does no arithmetic of its own', () => {
  for (const file of filesOf('crates', '.rs', 'Cargo.toml').filter((name) => !name.includes('gru-napi'))) {
    expect(readFileSync(join(ROOT, file), 'utf8'), file).not.toMatch(/\bnapi(::|\.workspace|_derive)/);
  }
  const manifest = readFileSync(join(ROOT, 'crates/gru-napi/Cargo.toml'), 'utf8');
  expect(manifest).not.toMatch(/\b(gemm|pulp|rayon)\b/);
});

/** What a kernel's source may not hold, as what was found: all of it is device.cuh's, or a Register's, business. */
function foreignToKernels(source: string): string[] {
  const code = source.replaceAll(/\/\/.*|\/\*[\s\S]*?\*\//g, '');
  const body = code.replaceAll(/^struct [\w:]+ \{[\s\S]*?^\};/gm, '');
  const assembly = code.match(/\b(?:__)?asm(?:__)?\b/g) ?? [];
  const conditions = code.match(/^\s*#\s*(?:if|ifdef|ifndef|elif|else)\b.*|\b__CUDA\w*/gm) ?? [];
  // Only a Register may get its value later: what else has none would not be NaN on the emulator.
  const declared =
    /^\s*(?:float|double|int|unsigned|bool)\s+\w+(?:\s*\[[^\]]*\])*(?:\s*,\s*\w+(?:\s*\[[^\]]*\])*)*\s*;/gm;
  return [...assembly, ...conditions, ...(body.match(declared) ?? [])].map((found) => found.trim());
}

test('kernels hold no assembly, no conditions and no variable without a value', () => {
  const kernels = filesOf('crates', '.cu', '.cuh').filter((file) => !file.endsWith('/device.cuh'));
  expect(kernels.length).toBeGreaterThan(18);
  for (const file of kernels) {
    expect(foreignToKernels(readFileSync(join(ROOT, file), 'utf8')), file).toEqual([]);
  }
  const planted = [
    '  asm volatile("bar.sync 0;");',
    '  __asm__("");',
    '#if __CUDA_ARCH__ >= 900',
    '  #ifdef FAST',
    '    float sums[4][4];',
    '    int row, column;',
    '    unsigned bits;',
  ];
  for (const line of planted) expect(foreignToKernels(`{\n${line}\n}\n`), line).not.toEqual([]);
  const right = [
    '    Register<float> sums[4][4];',
    '    float sum = 0.0f;',
    'struct Task {\n    int rows, columns;\n};',
    '// asm is told of here',
    '#pragma unroll',
  ];
  for (const line of right) expect(foreignToKernels(`${line}\n`), line).toEqual([]);
});

test('no file is longer than 500 lines', () => {
  const sources = [
    ...['src', 'test', 'bench', 'scripts'].flatMap((folder) => filesOf(folder, '.ts', '.mjs', '.py', '.sh')),
    ...filesOf('crates', '.rs', '.cpp', '.h', '.cu', '.cuh'),
  ];
  expect(sources.length).toBeGreaterThan(60);
  for (const file of sources.filter((path) => !path.includes('node_modules'))) {
    expect(readFileSync(join(ROOT, file), 'utf8').split('\n').length, file).toBeLessThanOrEqual(500);
  }
});

test('the CPU backend is less than 2,500 lines of code', () => {
  const lines = filesOf('crates/gru-core/src/cpu', '.rs')
    .filter((file) => !file.endsWith('_tests.rs'))
    .flatMap((file) => {
      const [code = ''] = readFileSync(join(ROOT, file), 'utf8').split(
        /^#\[cfg\((?:test|all\(test[^)]*\))\)\]\nmod \w+ \{/m,
      );
      return code.split('\n').filter((line) => !/^\s*(?:\/\/|$)/.test(line));
    });
  expect(lines.length).toBeGreaterThan(2000);
  expect(lines.length).toBeLessThan(2500);
});
