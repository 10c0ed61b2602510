/** Texts on the command line: several sources, encodings, what `corpus check` shows; resuming reads them again. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { columnsOf } from '../../src/cli/width.js';
import { parameterCount } from '../../src/corpus-facts.js';
import { folder, run, SMALL, start } from './command.js';

/** 末班车, 到了 and a newline in GB18030; 我的歌 and a newline in Big5. */
const GBK = Buffer.from('c4a9b0e0b3b5b5bdc1cb0a', 'hex');
const BIG5 = Buffer.from('a7daaababa710a', 'hex');

function texts(): string {
  const cwd = folder();
  mkdirSync(join(cwd, 'lyrics'));
  writeFileSync(join(cwd, 'lyrics/b.txt'), Buffer.concat(Array(40).fill(BIG5)));
  writeFileSync(join(cwd, 'lyrics/a.lrc'), Buffer.concat([Buffer.from('[00:01.00]'), BIG5, BIG5]));
  writeFileSync(join(cwd, 'end.txt.gz'), gzipSync(Buffer.concat(Array(30).fill(BIG5))));
  writeFileSync(join(cwd, 'gbk.txt'), Buffer.concat(Array(30).fill(GBK)));
  writeFileSync(join(cwd, 'apart.txt'), 'cafe\u0301，\r\n'.repeat(40));
  return cwd;
}

const model = (cwd: string, name = 'gru-model') => readFileSync(join(cwd, name, 'model.safetensors'));

test('a run goes on with the same texts, read the same way, without a word of them', async () => {
  const cwd = texts();
  const sources = ['lyrics/*', 'end.txt.gz', 'apart.txt'];
  const reading = ['--encoding', 'Big5', '--nfc'];
  // apart.txt is no Big5, but a byte order mark wins.
  writeFileSync(join(cwd, 'apart.txt'), `\ufeff${'cafe\u0301，\r\n'.repeat(40)}`);
  const begun = await run(cwd, 'train', ...sources, ...reading, '--epochs', '2', ...SMALL);
  expect(begun).toMatchObject({ code: 0 });
  expect(begun.stderr).toMatch(/corpus lyrics\/\* and 2 more: 531 characters, 9 distinct/);
  expect(begun.stderr).toMatch(/note: the text was read as BIG5, UTF-8\n/);
  const gone = await run(cwd, 'train', '--resume', '--epochs', '4');
  expect(gone).toMatchObject({ code: 0, stderr: expect.stringContaining('going on after epoch 2') });
  const whole = await run(cwd, 'train', ...sources, ...reading, '--epochs', '4', '--out', 'whole', ...SMALL);
  expect(whole).toMatchObject({ code: 0 });
  expect(model(cwd).equals(model(cwd, 'whole'))).toBe(true);
  expect(await run(cwd, 'train', '--resume', '--encoding', 'gbk')).toMatchObject({ code: 3 });
});

test('what was detected is told in the start event, and how to say otherwise', async () => {
  const cwd = texts();
  const events = (await run(cwd, 'train', 'gbk.txt', '--epochs', '1', '--json', ...SMALL)).events();
  expect(events[0]).toMatchObject({
    type: 'start',
    notices: expect.arrayContaining(['the text was read as GB18030; --encoding sets another']),
  });
  const utf8 = (
    await run(cwd, 'train', 'apart.txt', '--epochs', '1', '--json', '--out', 'x', ...SMALL)
  ).events();
  expect(JSON.stringify(utf8[0])).not.toContain('was read as');
});

test('a run that was stopped names all sources where one of them is stdin', async () => {
  const cwd = texts();
  const args = ['train', 'gbk.txt', '-', '--epochs', '100000', '--json', ...SMALL];
  const running = start(cwd, args, '末班车到了\n');
  await running.printed('"epoch":3');
  running.child.kill('SIGINT');
  const { code, stderr } = await running.finished;
  expect(code).toBe(130);
  expect(stderr).toContain('go on with: npx gru-native train gbk.txt - --resume\n');
});

test('eval reads what train reads', async () => {
  const cwd = texts();
  expect(await run(cwd, 'train', 'gbk.txt', '--epochs', '1', ...SMALL)).toMatchObject({ code: 0 });
  const result = await run(cwd, 'eval', 'gru-model', 'gbk.txt', 'gbk.txt', '--encoding', 'gb18030', '--json');
  expect(result.events()[0]).toMatchObject({ type: 'evaluation', tokens: 2 * 30 * 6 });
});

test('corpus check shows what a corpus is made of, in 80 columns', async () => {
  const cwd = texts();
  const result = await run(cwd, 'corpus', 'check', 'lyrics', 'end.txt.gz', 'apart.txt', '--encoding', 'big5');
  expect(result).toMatchObject({ code: 3, stdout: '' }); // apart.txt is no Big5
  const check = await run(cwd, 'corpus', 'check', 'gbk.txt', 'apart.txt', 'songs', '--max-chars', '1500');
  expect(check).toMatchObject({ code: 0, stderr: '' });
  for (const line of check.stdout.split('\n')) expect(columnsOf(line), line).toBeLessThanOrEqual(80);
  for (const row of [
    /^corpus +gbk\.txt and 2 more$/m,
    /^characters +1,500 used of 24,\d+$/m,
    /^kinds +\d+, of which \d+ occur once$/m,
    /^encoding +GB18030, UTF-8$/m,
    /^line endings +LF 2,029, CRLF 40, CR 0$/m,
    /^lines +1,979, of which 71 \(3\.6 %\) repeat an earlier one$/m,
    /^ +40 times cafe\u0301，$/m,
    /^NFC +no; --nfc composes characters$/m,
    /^full width +40 spaces, marks and letters, kept as they are$/m,
    /^training +1 updates? an epoch with batch size 32 and 35 steps$/m,
    /^3 texts\n +330 B +GB18030 +gbk\.txt\n +440 B +UTF-8 +apart\.txt\n/m,
  ]) {
    expect(check.stdout).toMatch(row);
  }
});

test('corpus check as JSON, and what it says of training is what training does', async () => {
  const cwd = texts();
  const [check] = (await run(cwd, 'corpus', 'check', 'songs', '--json')).events() as [Record<string, number>];
  expect(check).toMatchObject({
    v: 1,
    type: 'corpus-check',
    characters: 20_000,
    nfc: true,
    encodings: ['utf-8'],
    lineEndings: { crlf: 0, cr: 0 },
    files: [{ name: 'songs', encoding: 'utf-8' }],
    updatesPerEpoch: 17,
  });
  const [started] = (await run(cwd, 'train', '--epochs', '0', '--json')).events() as [Record<string, number>];
  expect(started).toMatchObject({ updatesPerEpoch: 17, parameters: check.parameters });
  expect(check.parameters).toBe(parameterCount(check.vocabSize as number, 256));
  const [nfc] = (await run(cwd, 'corpus', 'check', 'apart.txt', '--nfc', '--json')).events();
  expect(nfc).toMatchObject({ nfc: true, updatesPerEpoch: null });
});
