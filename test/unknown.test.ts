/** Unknown characters in prefixes and evaluated texts: each policy, what it reads, what it tells. */

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PrefixReport } from '../src/generator.js';
import { LanguageModel } from '../src/model.js';
import { nearestTo } from '../src/nearest.js';
import { Random } from '../src/random.js';
import { readText } from '../src/reading.js';
import type { UnknownCharacter, UnknownPolicy, UnknownReport } from '../src/unknown.js';
import { Vocabulary } from '../src/vocabulary.js';

const read = (characters: string, text: string, policy?: UnknownPolicy) =>
  readText(Vocabulary.fromText(characters), text, 'the text', policy);

describe('error, the default', () => {
  test.each([undefined, 'error'] as const)('%s reads what is known', async (policy) => {
    const { ids, report } = await read('雨😀a', 'a😀雨a', policy);
    expect([...ids]).toEqual([2, 1, 0, 2]);
    expect(report).toEqual({ unknown: [], characters: 4, skipped: 0, replaced: 0 });
  });

  test.each([undefined, 'error'] as const)(
    '%s names what is not, suggesting what is near',
    async (policy) => {
      await expect(read('学a😀', '😀a學😀！學', policy)).rejects.toMatchObject({
        code: 'GRU_VOCABULARY',
        message:
          'expected the text in the model\'s 3 characters, received unknown "學" (U+5B78) at position 3 (did you mean "学"?), "！" (U+FF01) at position 5',
        hint: expect.stringMatching(/^--unknown skip leaves unknown characters out; else use/),
      });
    },
  );

  test('the hint names nearest only where it would read everything', async () => {
    await expect(read('学!', '學！')).rejects.toMatchObject({
      hint: '--unknown nearest reads the characters suggested, --unknown skip leaves unknown characters out.',
    });
    await expect(read('学!', '學！x')).rejects.not.toMatchObject({
      hint: expect.stringMatching(/--unknown nearest/),
    });
  });

  test('five are named, each once', async () => {
    await expect(read('a', '1232145671')).rejects.toThrow(
      /unknown "1" .* 1, "2" .* 2, "3" .* 3, "4" .* 6, "5" \(U\+0035\) at position 7 and 2 more$/,
    );
  });

  test('what would steer a terminal is escaped', async () => {
    const hostile = '\u001b\u202e\n\u2028\ud800';
    await expect(read('a', hostile)).rejects.toThrow(
      /^expected[^\p{C}\p{Zl}]*"\\u\{1b\}" \(U\+001B\) at position 1, "\\u\{202e\}"[^\p{C}\p{Zl}]*"\\u\{d800\}"[^\p{C}\p{Zl}]*$/u,
    );
  });
});

test('skip leaves unknown characters out, and counts them', async () => {
  const { ids, report } = await read('雨😀a', '😀学😀x学雨\ud83da', 'skip');
  expect([...ids]).toEqual([1, 1, 0, 2]);
  const left = { replacement: null };
  expect(report).toEqual({
    unknown: [
      { character: '学', codePoint: 0x5b66, count: 2, position: 2, ...left },
      { character: 'x', codePoint: 0x78, count: 1, position: 4, ...left },
      { character: '\ud83d', codePoint: 0xd83d, count: 1, position: 7, ...left },
    ],
    characters: 8,
    skipped: 4,
    replaced: 0,
  });
  expect((await read('a', 'xyz', 'skip')).ids).toHaveLength(0);
});

describe('nearest', () => {
  test('reads the first candidate that is known', async () => {
    const result = await read('学!a髮', 'ａ學！a学发！', 'nearest');
    expect([...result.ids]).toEqual([2, 0, 1, 2, 0, 3, 1]);
    expect(result.report).toEqual({
      unknown: [
        { character: 'ａ', codePoint: 0xff41, count: 1, position: 1, replacement: 'a' },
        { character: '學', codePoint: 0x5b78, count: 1, position: 2, replacement: '学' },
        { character: '！', codePoint: 0xff01, count: 2, position: 3, replacement: '!' },
        { character: '发', codePoint: 0x53d1, count: 1, position: 6, replacement: '髮' },
      ],
      characters: 7,
      skipped: 0,
      replaced: 5,
    });
  });

  test.each([
    ['发', '髮發', '發'],
    ['A', 'Ａaａ', 'Ａ'],
    ['A', 'ａa', 'a'],
    ['A', 'xａ', 'ａ'],
    ['裏', '裡里', '里'],
    ['裏', '裡', '裡'],
    ['\u3000', ' ', ' '],
    ['ﾊ', 'ハ', 'ハ'],
  ])('%j in a vocabulary of %j is %j', async (character, characters, replacement) => {
    const { report } = await read(characters, character, 'nearest');
    expect(report.unknown[0]?.replacement).toBe(replacement);
  });

  test('another traditional character of the same simplified form is not near', async () => {
    await expect(read('髮', '發', 'nearest')).rejects.toMatchObject({ code: 'GRU_VOCABULARY' });
  });

  test('a known character is never replaced', async () => {
    expect((await read('学學', '學学學', 'nearest')).report.replaced).toBe(0);
  });

  test('what has nothing near is an error that names it alone', async () => {
    await expect(read('学a', '😀a學龘😀', 'nearest')).rejects.toMatchObject({
      code: 'GRU_VOCABULARY',
      message:
        'expected the text in the model\'s 2 characters or near ones, received unknown "😀" (U+1F600) at position 1, "龘" (U+9F98) at position 4',
      hint: expect.stringMatching(/--unknown skip leaves all unknown ones out/),
    });
  });
});

test('another policy is a usage error', async () => {
  for (const policy of ['near', 1, null] as unknown as UnknownPolicy[]) {
    await expect(read('a', 'a', policy)).rejects.toMatchObject({
      code: 'GRU_USAGE',
      message: expect.stringMatching(
        /^expected error, skip or nearest for unknown, received ("near"|1|null)$/,
      ),
    });
  }
});

test('on random texts: what a plain loop over the characters would read and tell', async () => {
  const random = new Random(7, 'test');
  const below = (end: number) => Math.floor(random.nextFloat() * end);
  const pick = (characters: readonly string[]) => characters[below(characters.length)] as string;
  const pool = [
    ...'aAａＡbB!！ 　学學发發髮台臺为爲為裏裡里😀😁𠀀ァｧﾊハé\n\u202e',
    '\ud83d',
    '\ude00',
    '\u{10ffff}',
  ];
  for (let round = 0; round < 60; round++) {
    const known = pool.filter((character) => !/^\p{Cs}$/u.test(character) && below(3) > 0);
    const vocabulary = Vocabulary.fromText(`z${known.join('')}`);
    // Long enough for several blocks of code units, with pairs across their borders.
    const length = round % 10 === 0 ? 40_000 : 1 + below(300);
    const text = Array.from({ length }, () => pick(pool)).join('');
    const characters = [...text]; // a high and a low half may have met
    const nearest = (character: string) =>
      vocabulary.covers(character) ? character : nearestTo(character).find((near) => vocabulary.covers(near));
    const plain = (replace: (character: string) => string | undefined) => {
      const unknown = new Map<string, UnknownCharacter>();
      for (const [index, character] of characters.entries()) {
        if (vocabulary.covers(character)) continue;
        const codePoint = character.codePointAt(0) as number;
        const replacement = replace(character) ?? null;
        const first = { character, codePoint, count: 0, position: index + 1, replacement };
        const record = unknown.get(character) ?? first;
        unknown.set(character, { ...record, count: record.count + 1 });
      }
      return [...unknown.values()];
    };

    const skipped = await readText(vocabulary, text, 'the text', 'skip');
    const filtered = characters.filter((character) => vocabulary.covers(character));
    expect(skipped.ids).toEqual(vocabulary.encode(filtered.join(''), 'what is known'));
    expect(skipped.report.unknown).toEqual(plain(() => undefined));
    expect(skipped.report).toMatchObject({
      characters: characters.length,
      skipped: characters.length - filtered.length,
      replaced: 0,
    });

    const replaceable = characters.filter((character) => nearest(character) !== undefined).join('');
    const replaced = await readText(vocabulary, replaceable, 'the text', 'nearest');
    const expected = [...replaceable].map((character) => nearest(character)).join('');
    expect(replaced.ids).toEqual(vocabulary.encode(expected, 'what is near'));
    const { unknown } = replaced.report;
    expect(unknown.every(({ character, replacement }) => replacement === nearest(character))).toBe(true);
    expect(replaced.report).toMatchObject({
      characters: [...replaceable].length,
      skipped: 0,
      replaced: [...replaceable].filter((character) => !vocabulary.covers(character)).length,
    });
    if (replaceable.length < text.length) {
      await expect(readText(vocabulary, text, 'the text', 'nearest')).rejects.toMatchObject({
        code: 'GRU_VOCABULARY',
      });
    }
  }
});

describe('a model', () => {
  let model: LanguageModel;
  beforeAll(async () => {
    model = await LanguageModel.load(join(import.meta.dirname, 'reference/model.safetensors'));
  });
  afterAll(() => model.dispose());
  const options = { length: 12, temperature: 1, seed: 3 };

  test('writes after the prefix as it was read, and tells of it', async () => {
    const reports: PrefixReport[] = [];
    const onUnknown = (report: PrefixReport) => reports.push(report);
    const nearest = { ...options, unknown: 'nearest', onUnknown } as const;
    const plain = await model.generate('末班车', options);
    expect(await model.generate('末班車', nearest)).toBe(plain);
    const report = {
      prefix: '末班車',
      read: '末班车',
      unknown: [{ character: '車', codePoint: 0x8eca, count: 1, position: 3, replacement: '车' }],
      characters: 3,
      skipped: 0,
      replaced: 1,
    };
    expect(reports).toEqual([report]);
    let streamed = '';
    for await (const character of model.stream('末班車', nearest)) streamed += character;
    expect(`末班车${streamed}`).toBe(plain);
    expect(reports).toEqual([report, report]);
    expect(await model.generate('末班x车', { ...options, unknown: 'skip' })).toBe(plain);
  });

  test('tells of each prefix once, however many texts it has, and of none that is known', async () => {
    const reports: PrefixReport[] = [];
    const skip = {
      ...options,
      count: 2,
      unknown: 'skip',
      onUnknown: (report: PrefixReport) => reports.push(report),
    } as const;
    const texts = await model.generateAll(['x末班', '车', '车y'], skip);
    expect(texts).toEqual(await model.generateAll(['末班', '车', '车'], { ...options, count: 2 }));
    expect(reports.map(({ prefix, read }) => [prefix, read])).toEqual([
      ['x末班', '末班'],
      ['车y', '车'],
    ]);
    const pieces = ['', '', '', '', '', ''];
    for await (const written of model.streamAll(['x末班', '车', '车y'], skip)) {
      for (const [text, piece] of written.entries()) pieces[text] += piece;
    }
    const beginnings = ['末班', '末班', '车', '车', '车', '车'];
    expect(pieces.map((piece, text) => beginnings[text] + piece)).toEqual(texts);
  });

  test('takes an unknown character of a prefix for an error unless told otherwise, naming the prefix', async () => {
    await expect(model.generate('末班車')).rejects.toMatchObject({
      code: 'GRU_VOCABULARY',
      message: expect.stringMatching(
        /the prefix "末班車" .* "車" \(U\+8ECA\) at position 3 \(did you mean "车"\?\)/,
      ),
    });
  });

  test('says so where nothing of a prefix is left', async () => {
    const onUnknown = () => expect.unreachable();
    await expect(model.generate('x\u202ey', { unknown: 'skip', onUnknown })).rejects.toMatchObject({
      code: 'GRU_VOCABULARY',
      message:
        'expected the prefix "x\\u{202e}y" to have at least one of the model\'s 377 characters, received only unknown ones',
    });
  });

  test('evaluates a text as if what is left out were not there, and the nearest as if it were there', async () => {
    const reports: UnknownReport[] = [];
    const onUnknown = (report: UnknownReport) => reports.push(report);
    const plain = await model.evaluate('末班车 末班车');
    expect(plain).toMatchObject({ tokens: 6, skipped: 0, replaced: 0 });
    const skipped = await model.evaluate('x末班😀车 末班xx车', { unknown: 'skip', onUnknown });
    expect(skipped).toEqual({ ...plain, skipped: 4 });
    const nearest = await model.evaluate('末班車\u3000末班车', { unknown: 'nearest', onUnknown });
    expect(nearest).toEqual({ ...plain, replaced: 2 });
    expect(reports.map(({ unknown }) => unknown.map(({ character }) => character).join(''))).toEqual([
      'x😀',
      '車\u3000',
    ]);
    await model.evaluate('末班车', { unknown: 'skip', onUnknown });
    expect(reports).toHaveLength(2);
    await expect(model.evaluate('末班車')).rejects.toThrow(/the text .* "車" \(U\+8ECA\) at position 3/);
  });

  test.each([
    ['xyz', 0, 3],
    ['x末yz', 1, 4],
  ])('says so where too little of a text is left: %s', async (text, known, characters) => {
    const onUnknown = () => expect.unreachable();
    await expect(model.evaluate(text, { unknown: 'skip', onUnknown })).rejects.toMatchObject({
      code: 'GRU_VOCABULARY',
      message: `expected at least 2 characters that the model knows to evaluate, received ${known} of ${characters}`,
    });
    await expect(model.evaluate('末', { unknown: 'skip' })).rejects.toMatchObject({
      code: 'GRU_CORPUS_TOO_SHORT',
    });
  });
});
