/** The commands that only read: generate's sampling, eval, inspect, corpus, help; and the paths of the CPU. */

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folder, run, SMALL, start } from './command.js';

async function trained(): Promise<string> {
  const cwd = folder();
  expect(await run(cwd, 'train', '--epochs', '2', ...SMALL)).toMatchObject({ code: 0 });
  return cwd;
}

test('generate samples by its seed, and as JSON', async () => {
  const cwd = await trained();
  const write = async (...options: string[]) =>
    (await run(cwd, 'generate', '--prefix', '车', '--length', '40', ...options)).stdout;
  const sampled = await write('--temperature', '1', '--seed', '3');
  expect(await write('--temperature', '1', '--seed', '3')).toBe(sampled);
  expect(await write('--temperature', '1', '--seed', '4')).not.toBe(sampled);
  expect(await write('--temperature', '1', '--top-k', '1')).toBe(await write());
  expect(JSON.parse(await write('--json'))).toMatchObject({
    v: 1,
    type: 'sample',
    prefix: '车',
    text: (await write()).slice(0, -1),
  });
  expect(await write('--length', '0')).toBe('车\n');
});

test('generate writes several texts for each prefix, each as it would alone', async () => {
  const cwd = await trained();
  const write = async (...options: string[]) =>
    (await run(cwd, 'generate', '--length', '20', '--temperature', '1', ...options)).stdout;
  const [car, moon] = [
    ['--prefix', '车'],
    ['--prefix', '末'],
  ] as const;
  const alone = [
    await write(...car, '--seed', '3'),
    await write(...car, '--seed', '4'),
    await write(...moon, '--seed', '3'),
    await write(...moon, '--seed', '4'),
  ];
  expect(await write(...car, ...moon, '--seed', '3', '--count', '2')).toBe(alone.join(''));
  const lines = (await write(...car, ...moon, '--seed', '3', '--count', '2', '--json')).trimEnd().split('\n');
  expect(lines.map((line) => `${JSON.parse(line).text}\n`)).toEqual(alone);
  expect(lines.map((line) => JSON.parse(line).prefix)).toEqual(['车', '车', '末', '末']);
  expect(await run(cwd, 'generate', '--count', '0')).toMatchObject({ code: 2 });
});

test('a reader that has seen enough ends generate quietly', async () => {
  const running = start(await trained(), ['generate', '--length', '1000000']);
  await running.printed('末班');
  running.child.stdout?.destroy();
  expect(await running.finished).toMatchObject({ code: 0, stderr: '' });
});

test('eval tells the perplexity over n - 1 predictions', async () => {
  const cwd = await trained();
  writeFileSync(join(cwd, 'text.txt'), '车站\n车站');
  const result = await run(cwd, 'eval', 'gru-model', 'text.txt', '--json');
  const [event] = result.events() as [{ perplexity: number; lossSum: number; tokens: number }];
  expect(event).toMatchObject({ v: 1, type: 'evaluation', tokens: 4 });
  expect(event.perplexity).toBeCloseTo(Math.exp(event.lossSum / 4), 10);
  expect((await run(cwd, 'eval', 'gru-model', 'text.txt')).stdout).toMatch(
    /^perplexity [\d.]+ \([\d.]+ nats a character, 4 predictions\)\n$/,
  );
  writeFileSync(join(cwd, 'unknown.txt'), '车x站');
  expect(await run(cwd, 'eval', 'gru-model', 'unknown.txt')).toMatchObject({
    code: 3,
    stderr: expect.stringMatching(/"x" \(U\+0078\) at position 2/),
  });
});

test('eval of a long text has a live line on a terminal, and Ctrl-C ends it with 130', async () => {
  const cwd = await trained();
  writeFileSync(join(cwd, 'long.txt'), '车站'.repeat(5_000_000));
  const script = `
    process.stderr.isTTY = true;
    process.stderr.columns = 200;
    await import(${JSON.stringify(new URL('../../dist/cli/main.js', import.meta.url).href)});`;
  const program = ['--input-type=module', '--eval', script, '--', 'gru-native'];
  const terminal = { CI: '', TERM: 'xterm' };
  const running = start(cwd, ['eval', 'gru-model', 'long.txt'], '', terminal, program);
  await running.told('characters/s');
  running.child.kill('SIGINT');
  const { code, stdout, stderr } = await running.finished;
  expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
  expect(stderr).toMatch(/evaluated \d+ % · perplexity [\d.]+ · [\d,]+ characters\/s · .+ left/);
  const [wiped, message] = stderr.slice(stderr.lastIndexOf('\r')).split('[2K');
  expect(wiped).toBe('\r\x1b');
  expect(message).toMatch(/^stopped on request after \d+ of 9999999 predictions\n.+\n$/);
});

test('eval prints nothing but its result where there is no terminal', async () => {
  const cwd = await trained();
  writeFileSync(join(cwd, 'text.txt'), '车站'.repeat(20_000));
  expect(await run(cwd, 'eval', 'gru-model', 'text.txt')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^perplexity .* 39,999 predictions\)\n$/),
    stderr: '',
  });
});

test('inspect tells what the file holds', async () => {
  const cwd = await trained();
  const text = (await run(cwd, 'inspect')).stdout;
  for (const part of [/hidden size +16/, /corpus +songs, 600 characters/, /epochs +2 of 2/, /gru-native \d/])
    expect(text).toMatch(part);
  const [facts] = (await run(cwd, 'inspect', '--json')).events();
  expect(facts).toMatchObject({
    hiddenSize: 16,
    metadata: { cell: 'gru-reset-after', formatVersion: 1, epochs: 2 },
  });
});

test('corpus list and check', async () => {
  const cwd = folder();
  const list = (await run(cwd, 'corpus', 'list')).stdout;
  expect(list).toMatch(/^songs\n/m);
  expect(list).toMatch(/^jaychou\n/m);
  const check = await run(cwd, 'corpus', 'check', 'songs');
  expect(check.stdout).toMatch(/20,000 used of 24,002/);
  expect(
    (await run(cwd, 'corpus', 'check', 'songs', '--max-chars', 'all', '--json')).events()[0],
  ).toMatchObject({ characters: 24002 });
});

test('corpus check tells what a text holds even where it is too short to train on', async () => {
  const cwd = folder();
  writeFileSync(join(cwd, 'short.txt'), '春眠不觉晓');
  const result = await run(cwd, 'corpus', 'check', 'short.txt');
  expect(result).toMatchObject({ code: 3, stderr: expect.stringMatching(/at least 1152 characters/) });
  expect(result.stdout).toMatch(/5 used of 5[\s\S]*5, of which 5 occur once/);
});

test('corpus fetch --offline says what is missing', async () => {
  const cwd = folder();
  const running = start(cwd, ['corpus', 'fetch', 'jaychou', '--offline'], '', {
    GRU_NATIVE_CACHE: join(cwd, 'cache'),
    GRU_NATIVE_JAYCHOU: '',
  });
  const result = await running.finished;
  expect(result).toMatchObject({ code: 3, stdout: '' });
  expect(existsSync(join(cwd, 'cache'))).toBe(false);
});

test('the environment may force a path of the CPU', async () => {
  const doctor = (path: string, ...args: string[]) =>
    start(folder(), ['doctor', ...args], '', { GRU_NATIVE_CPU: path }).finished;
  expect((await doctor('portable')).stdout).toMatch(/^CPU .*; portable kernels$/m);
  const refused = await doctor('mmx');
  expect(refused).toMatchObject({ code: 2, stderr: '' });
  expect(refused.stdout).toMatch(/^result +training does not run here: expected portable/m);
  expect((await doctor('mmx', '--json')).events()[0]).toMatchObject({
    cpu: { path: null },
    error: {
      code: 'GRU_USAGE',
      message: expect.stringMatching(/expected portable.* for GRU_NATIVE_CPU, received mmx/),
    },
  });
});

test('bf16 needs instructions for it, or an emulation that the environment names', async () => {
  const cwd = folder();
  writeFileSync(join(cwd, 'text.txt'), '春眠不觉晓 处处闻啼鸟 夜来风雨声 花落知多少 '.repeat(40));
  const train = (path: string, ...args: string[]) =>
    start(
      cwd,
      ['train', 'text.txt', '--precision', 'bf16', '--epochs', '1', '--json', ...SMALL, ...args],
      '',
      {
        GRU_NATIVE_CPU: path,
      },
    ).finished;
  const without = await train('portable');
  expect(without.code).toBe(4);
  expect(without.stderr).toMatch(
    /^error: .*avx512bf16 for --precision bf16, received .*\nUse --precision fp32\.\n$/,
  );
  const emulated = await train('portable-bf16');
  expect(emulated.code).toBe(0);
  expect(JSON.parse(emulated.stdout.split('\n')[0] as string)).toMatchObject({
    cpuPath: 'portable-bf16',
    precision: 'bf16',
  });
});

test('help and version answer without loading the addon', async () => {
  const cwd = folder();
  const env = { NAPI_RS_NATIVE_LIBRARY_PATH: '/nowhere', NODE_OPTIONS: '--no-addons' };
  expect(await start(cwd, ['--help'], '', env).finished).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/Commands:[\s\S]*train[\s\S]*Exit codes/),
  });
  expect(await start(cwd, ['train', '--help'], '', env).finished).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/--num-steps <n> .*\(default: 35\)/s),
  });
  expect(await start(cwd, ['--version'], '', env).finished).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
  });
});
