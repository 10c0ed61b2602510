/** --unknown of generate and eval: what is printed where, the exit codes, the JSON. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { beforeAll, expect, test } from 'vitest';
import { folder, run, start } from './command.js';

const MODEL = join(import.meta.dirname, '../reference/model.safetensors');
const matchesSchema = new Ajv2020({ allowUnionTypes: true }).compile(
  JSON.parse(readFileSync(join(import.meta.dirname, '../../events.schema.json'), 'utf8')),
);
const GENERATE = ['generate', MODEL, '--length', '8', '--prefix'];

/** The text that generate writes after a prefix that the model knows. */
let plain: string;
beforeAll(async () => {
  const result = await run(import.meta.dirname, ...GENERATE, '末班车');
  expect(result).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^末班车.{8}\n$/) });
  plain = result.stdout;
});

/** What eval tells of a text. */
function evaluate(text: string, ...options: string[]) {
  return start(folder(), ['eval', MODEL, '-', ...options], text).finished;
}

test('generate takes unknown characters for an error, and suggests the nearest', async () => {
  for (const policy of [[], ['--unknown', 'error']]) {
    expect(await run(import.meta.dirname, ...GENERATE, '末班車', ...policy)).toEqual(
      expect.objectContaining({
        code: 3,
        stdout: '',
        stderr:
          'error: expected the prefix "末班車" in the model\'s 377 characters, received unknown "車" (U+8ECA) at position 3 (did you mean "车"?)\n' +
          '--unknown nearest reads the characters suggested, --unknown skip leaves unknown characters out.\n',
      }),
    );
  }
});

test('generate --unknown nearest writes after what it read, and says so on stderr', async () => {
  expect(await run(import.meta.dirname, ...GENERATE, '末班車', '--unknown', 'nearest')).toMatchObject({
    code: 0,
    stdout: plain,
    stderr: 'note: replaced in the prefix "末班車": "車" (U+8ECA) by "车" at position 3\n',
  });
  const failed = await run(import.meta.dirname, ...GENERATE, '末班龘車', '--unknown', 'nearest');
  expect(failed).toMatchObject({ code: 3, stdout: '' });
  expect(failed.stderr).toMatch(/^error: .* unknown "龘" \(U\+9F98\) at position 3\n.*--unknown skip .*\n$/);
});

test('generate --unknown skip names five of the characters left out, escaped', async () => {
  const hostile = '\u001b末\u202e班\u001b1234车';
  expect(await run(import.meta.dirname, ...GENERATE, hostile, '--unknown', 'skip')).toMatchObject({
    code: 0,
    stdout: plain,
    stderr:
      'note: left out of the prefix "\\u{1b}末\\u{202e}班\\u{1b}1234车": ' +
      '"\\u{1b}" (U+001B) at position 1 (the first of 2), "\\u{202e}" (U+202E) at position 3, ' +
      '"1" (U+0031) at position 6, "2" (U+0032) at position 7, "3" (U+0033) at position 8 and 1 more\n',
  });
  const empty = await run(import.meta.dirname, ...GENERATE, '123', '--unknown', 'skip');
  expect(empty).toMatchObject({ code: 3, stdout: '' });
  expect(empty.stderr).toMatch(/^error: .*"123" .* at least one .* only unknown ones\n.+\n$/);
});

test('generate tells of a prefix once, and its JSON has the prefix that was read', async () => {
  const more = ['--prefix', '车', '--count', '2', '--json', '--unknown', 'nearest'];
  const result = await run(import.meta.dirname, ...GENERATE, '末班車', '--prefix', '末班車', ...more);
  expect(result.code).toBe(0);
  expect(result.stderr.match(/^note: .*\n/gm)).toEqual([result.stderr]);
  const events = result.events();
  expect(events.map(({ prefix }) => prefix)).toEqual([...Array(4).fill('末班车'), '车', '车']);
  expect(events[0]?.text).toBe(plain.trimEnd());
  for (const event of events) expect(matchesSchema(event), JSON.stringify(event)).toBe(true);
});

test('eval takes unknown characters for an error', async () => {
  const result = await evaluate('末班車 末班车');
  expect(result).toMatchObject({ code: 3, stdout: '' });
  expect(result.stderr).toMatch(
    /^error: expected the text .* "車" \(U\+8ECA\) at position 3 \(did you mean "车"\?\)\n--unknown nearest/,
  );
});

test('eval says how many characters were left out', async () => {
  const known = (await evaluate('末班车 末班车')).stdout.trimEnd();
  expect(known).toMatch(/^perplexity [\d.]+ \([\d.]+ nats a character, 6 predictions\)$/);
  expect(await evaluate('末班1车1 末班23车', '--unknown', 'skip')).toMatchObject({
    code: 0,
    stdout: `${known}; 4 characters (3 kinds) left out, 36.4 %\n`,
    stderr:
      'note: left out of the text: "1" (U+0031) at position 3 (the first of 2), "2" (U+0032) at position 9, "3" (U+0033) at position 10\n',
  });
  expect(await evaluate('末班車\u3000末班车', '--unknown', 'nearest')).toMatchObject({
    code: 0,
    stdout: `${known}; 2 characters (2 kinds) replaced, 28.6 %\n`,
    stderr: expect.stringMatching(/^note: replaced in the text: "車" .* by "车" at position 3, .*\n$/),
  });
  const long = await evaluate(`${'末班车 '.repeat(500)}x`, '--unknown', 'skip');
  expect(long.stdout).toMatch(/1,999 predictions\); 1 character \(1 kind\) left out, under 0\.1 %\n$/);
});

test('eval --json has the numbers and every kind', async () => {
  const [known] = (await evaluate('末班车 末班车', '--json')).events();
  expect(known).toMatchObject({ tokens: 6, skipped: 0, replaced: 0, unknown: [] });
  const skipped = await evaluate('末班1车1 末班2车', '--json', '--unknown', 'skip');
  expect(skipped.events()).toEqual([
    {
      ...known,
      skipped: 3,
      unknown: [
        { character: '1', codePoint: 0x31, count: 2, position: 3, replacement: null },
        { character: '2', codePoint: 0x32, count: 1, position: 9, replacement: null },
      ],
    },
  ]);
  const [replaced] = (await evaluate('末班車 末班车', '--json', '--unknown', 'nearest')).events();
  expect(replaced).toMatchObject({ replaced: 1, unknown: [{ character: '車', replacement: '车' }] });
  for (const event of [known, skipped.events()[0], replaced]) expect(matchesSchema(event)).toBe(true);
});

test('eval of a text that is all unknown is an error', async () => {
  expect(await evaluate('123', '--unknown', 'skip')).toMatchObject({
    code: 3,
    stdout: '',
    stderr: expect.stringMatching(/^error: expected at least 2 characters .* received 0 of 3\n.+\n$/),
  });
});

test.each([['generate'], ['eval', 'text.txt']])(
  'another policy is a usage error of %s',
  async (name, ...args) => {
    const cwd = folder();
    writeFileSync(join(cwd, 'text.txt'), '末班车');
    expect(await run(cwd, name, MODEL, ...args, '--unknown', 'near')).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(
        /^error: expected error, skip or nearest for --unknown, received "near"\n.+\n$/,
      ),
    });
  },
);
