/** Wrong input of every kind: the exit code, and two lines that say what was wrong and what to do. */

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { expect, test } from 'vitest';
import { folder, run, SMALL, start } from './command.js';

/** Files that the cases below name. */
function prepare(cwd: string): void {
  const text = '春眠不觉晓 处处闻啼鸟 夜来风雨声 花落知多少 '.repeat(40);
  writeFileSync(join(cwd, 'good.txt'), text);
  writeFileSync(join(cwd, 'empty.txt'), '');
  writeFileSync(join(cwd, 'short.txt'), '春眠不觉晓');
  writeFileSync(join(cwd, 'latin1.txt'), Buffer.from([0x61, 0x62, 0xe9, 0x63]));
  mkdirSync(join(cwd, 'folder'));
  writeFileSync(join(cwd, 'folder', 'picture.png'), 'x');
  writeFileSync(join(cwd, 'no-text.zip'), zipSync({ 'a.png': new Uint8Array([1]) }));
  const zip = zipSync({ 'a.txt': new TextEncoder().encode(text) });
  writeFileSync(join(cwd, 'cut.zip'), zip.slice(0, zip.length - 30));
  const encrypted = zip.slice();
  encrypted[6] = (encrypted[6] as number) | 1;
  const directory = Buffer.from(zip).indexOf(Buffer.from([0x50, 0x4b, 1, 2]));
  encrypted[directory + 8] = (encrypted[directory + 8] as number) | 1;
  writeFileSync(join(cwd, 'encrypted.zip'), encrypted);
  writeFileSync(join(cwd, 'bomb.zip'), zipSync({ 'a.txt': new Uint8Array(20_000_000) }));
  writeFileSync(join(cwd, 'not-a-model.safetensors'), 'hello');
  mkdirSync(join(cwd, 'file-in-the-way'));
  writeFileSync(join(cwd, 'file-in-the-way', 'out'), '');
}

const CASES: [code: number, stderr: RegExp, ...args: string[]][] = [
  [3, /missing\.txt.*no such file/, 'train', 'missing.txt'],
  [3, /folder.*(no|\.txt)/, 'train', 'folder'],
  [3, /empty\.txt.*empty|empty/, 'train', 'empty.txt'],
  [3, /latin1\.txt.*offset 2/, 'train', 'latin1.txt'],
  [3, /no-text\.zip/, 'train', 'no-text.zip'],
  [3, /encrypted/, 'train', 'encrypted.zip'],
  [3, /cut\.zip/, 'train', 'cut.zip'],
  [3, /bomb\.zip.*100-fold compression/, 'train', 'bomb.zip'],
  [3, /at least 1152 characters .* received 5[\s\S]*longer text/, 'train', 'short.txt'],
  [3, /corpus fetch jaychou/, 'train', 'jaychou'],
  [2, /unknown option '--epoch'[\s\S]*--epochs/, 'train', '--epoch', '3'],
  [2, /unknown command 'trian'[\s\S]*train/, 'trian'],
  [2, /--learning-rate, received "nan"/, 'train', '--learning-rate', 'nan'],
  [2, /--learning-rate, received "NaN"/, 'train', '--learning-rate', 'NaN'],
  [2, /--hidden-size, received 0/, 'train', '--hidden-size', '0'],
  [2, /--epochs, received 1\.5/, 'train', '--epochs', '1.5'],
  [2, /--epochs, received ""/, 'train', '--epochs', ''],
  [2, /--sampling, received "sorted"/, 'train', '--sampling', 'sorted'],
  [2, /expected - at most once/, 'train', '-', 'good.txt', '-'],
  [2, /--encoding: expected auto, .* or big5, received "latin1"/, 'train', '--encoding', 'latin1'],
  [
    3,
    /good\.txt.*expected Big5, received byte 0x[0-9A-F]+ at byte offset \d+/,
    'train',
    'good.txt',
    '--encoding',
    'Big5',
  ],
  [3, /none\*\.txt.*expected files that match, received none/, 'train', 'none*.txt'],
  [2, /on the CPU, received tf32/, 'train', '--precision', 'tf32', '--device', 'cpu'],
  [4, /: NO_D[A-Z_]+\)\n.*tf32 needs a GPU; .*--precision fp32/, 'train', '--precision', 'tf32'],
  [2, /on a GPU, received fp32-exact/, 'train', '--precision', 'fp32-exact', '--device', 'cuda'],
  [4, /: NO_D[A-Z_]+\)\n.*--device cpu/, 'train', '--device', 'cuda'],
  [4, /: NO_D[A-Z_]+\)\n.*--device cpu/, 'train', '--device', 'cuda:1'],
  [4, /: NO_D[A-Z_]+\)\n.*--device cpu\.$/m, 'train', '--device', 'cuda', '--precision', 'bf16'],
  [2, /--device, received "gpu"/, 'train', '--device', 'gpu'],
  [3, /"龘" \(U\+9F98\) at position 2/, 'train', 'good.txt', '--prefix', '春龘', ...SMALL],
  [1, /file-in-the-way/, 'train', 'good.txt', '--out', 'file-in-the-way/out/deep', ...SMALL],
  [3, /nothing there/, 'train', '--resume', '--out', 'nothing'],
  [3, /a model at nothing/, 'generate', 'nothing'],
  [3, /not-a-model.*safetensors/, 'generate', 'not-a-model.safetensors'],
  [3, /not-a-model.*safetensors/, 'inspect', 'not-a-model.safetensors'],
  [2, /missing required argument/, 'eval', 'nothing'],
  [2, /number for --temperature/, 'generate', '--temperature', 'hot'],
];

test.each(CASES.map(([code, stderr, ...args]) => ({ code, stderr, args })))(
  'exit code $code for $args',
  async ({ code, stderr, args }) => {
    const cwd = folder();
    prepare(cwd);
    const nothingCached = { GRU_NATIVE_CACHE: join(cwd, 'cache'), GRU_NATIVE_JAYCHOU: '' };
    const result = await start(cwd, args, '', nothingCached).finished;
    expect(result).toMatchObject({ code, stdout: '' });
    const lines = result.stderr.trimEnd().split('\n');
    expect(lines.filter((line) => !line.startsWith('note:'))).toHaveLength(2);
    expect(lines[0]).toMatch(/^error: .+/);
    expect(result.stderr).toMatch(stderr);
    expect(result.stderr).not.toMatch(/\n\s+at |panicked/);
  },
);

test('an unwritable output directory is told before any training', async () => {
  const cwd = folder();
  prepare(cwd);
  const out = join(cwd, 'locked');
  mkdirSync(out);
  chmodSync(out, 0o500);
  const result = await run(cwd, 'train', 'good.txt', '--out', 'locked', ...SMALL);
  chmodSync(out, 0o700);
  if (process.getuid?.() === 0) {
    expect(result.code).toBe(0); // root may write anywhere
  } else {
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toMatch(/locked/);
  }
});

test('a damaged model file is an error, whatever byte is hit', async () => {
  const cwd = folder();
  prepare(cwd);
  expect(await run(cwd, 'train', 'good.txt', '--epochs', '1', ...SMALL)).toMatchObject({ code: 0 });
  const path = join(cwd, 'gru-model/model.safetensors');
  const whole = readFileSync(path);
  for (const [name, bytes] of [
    ['cut', whole.subarray(0, whole.length - 1)],
    ['header', Buffer.concat([Buffer.from([255, 255, 255, 255, 255, 255, 255, 255]), whole.subarray(8)])],
    ['json', Buffer.concat([whole.subarray(0, 20), Buffer.from('\0\0\0'), whole.subarray(23)])],
  ] as const) {
    writeFileSync(path, bytes);
    const result = await run(cwd, 'generate');
    expect(result, name).toMatchObject({ code: 3, stdout: '' });
    expect(result.stderr, name).toMatch(/^error: .*model\.safetensors.*\n.+\n$/);
  }
});

test('with --json the error is an event too; --verbose adds the stack', async () => {
  const cwd = folder();
  const result = await run(cwd, 'train', 'missing.txt', '--json');
  expect(result.code).toBe(3);
  expect(result.events()).toEqual([
    {
      v: 1,
      type: 'error',
      code: 'GRU_CORPUS',
      message: expect.stringMatching(/missing/),
      hint: expect.any(String),
    },
  ]);
  expect((await run(cwd, '--verbose', 'train', 'missing.txt')).stderr).toMatch(/\n\s+at /);
});
