/** Hostile zip archives: built from parts of which any may lie, and bytes changed after that. */

import { crc32, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { readZipTexts, type ZipText } from '../../src/zip.js';
import { expectRefusal, fuzz } from './campaign.js';
import { edited, edits } from './edits.js';

/** Numbers at the edges of what a field may hold. */
const EDGES = [
  ...[0, 1, 2, 8, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0xfffffffe, 0xffffffff],
  ...[1_000_000, 20_000_000, 200_000_000, 256_000_001],
];
const lie = fc.oneof(
  { weight: 150, arbitrary: fc.constant(undefined) },
  { weight: 4, arbitrary: fc.constantFrom(...EDGES) },
  { weight: 1, arbitrary: fc.nat({ max: 200 }) },
);
const NAMES = [
  ...['a.txt', 'b.TXT', 'songs/c.txt', '夜.txt', 'songs/', 'cover.png', '__MACOSX/a.txt', '.a.txt'],
  ...['', '../a.txt', '/a.txt', 'a\\b.txt', 'C:a.txt', 'a\0.txt', '\u202e.txt', 'a'.repeat(3000), 'a\n.txt'],
];
const name = fc.oneof(
  { weight: 12, arbitrary: fc.nat({ max: 30 }).map((number) => `${number}.txt`) },
  { weight: 2, arbitrary: fc.constantFrom(...NAMES) },
);
const text = fc.oneof(
  { weight: 40, arbitrary: fc.string({ maxLength: 60 }).map((text) => Buffer.from(text)) },
  { weight: 4, arbitrary: fc.nat({ max: 2000 }).map((length) => Buffer.from('la '.repeat(length))) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(100_000, 1_000_000, 1_000_001).map((length) => Buffer.alloc(length)),
  },
);
const file = fc.record({
  ...{ name, text, stored: fc.boolean() },
  tail: fc.oneof(
    { weight: 20, arbitrary: fc.constant(new Uint8Array()) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  ),
  ...{ extra: fc.constantFrom(0, 0, 0, 4, 28), describes: fc.boolean() },
  ...{
    crc: lie,
    compressed: lie,
    size: lie,
    offset: lie,
    method: lie,
    flags: lie,
    disk: lie,
    attributes: lie,
  },
  ...{
    nameLength: lie,
    extraLength: lie,
    commentLength: lie,
    signature: lie,
    localMethod: lie,
    localNameLength: lie,
  },
});
type File = typeof file extends fc.Arbitrary<infer T> ? T : never;
const end = fc.record({
  ...{
    count: lie,
    countHere: lie,
    size: lie,
    offset: lie,
    disk: lie,
    comment: fc.constantFrom(0, 0, 0, 9),
    commentLength: lie,
  },
  zip64: fc.oneof({ weight: 20, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});

/** Bytes of numbers, each of two or four bytes. */
function fields(...numbers: readonly (readonly [bytes: 2 | 4, value: number])[]): Buffer {
  const out = Buffer.alloc(numbers.reduce((sum, [bytes]) => sum + bytes, 0));
  let at = 0;
  for (const [bytes, value] of numbers) at = out.writeUIntLE(value % 2 ** (8 * bytes), at, bytes);
  return out;
}

/** An archive as its parts say, lies and all. */
function archiveOf(
  files: readonly File[],
  last: typeof end extends fc.Arbitrary<infer T> ? T : never,
): Buffer {
  const [bodies, directory]: [Buffer[], Buffer[]] = [[], []];
  let offset = 0;
  for (const file of files) {
    const name = Buffer.from(file.name);
    const data = Buffer.concat([
      file.stored ? file.text : deflateRawSync(file.text, { level: 1 }),
      file.tail,
    ]);
    const extra = Buffer.alloc(file.extra);
    const flags = file.flags ?? (file.describes ? 0x808 : 0x800);
    const method = file.method ?? (file.stored ? 0 : 8);
    const [crc, compressed] = [file.crc ?? crc32(file.text), file.compressed ?? data.length];
    const size = file.size ?? file.text.length;
    const known: [2 | 4, number][] = file.describes
      ? [
          [4, 0],
          [4, 0],
          [4, 0],
        ]
      : [
          [4, crc],
          [4, compressed],
          [4, size],
        ];
    const lengths: [2 | 4, number][] = [
      [2, file.nameLength ?? name.length],
      [2, file.extraLength ?? extra.length],
    ];
    const local = fields(
      [4, 0x04034b50],
      [2, 20],
      [2, flags],
      [2, file.localMethod ?? method],
      [4, 0],
      ...known,
      [2, file.localNameLength ?? name.length],
      [2, extra.length],
    );
    const body = [
      local,
      name,
      extra,
      data,
      ...(file.describes ? [fields([4, 0x08074b50], [4, crc], [4, compressed], [4, size])] : []),
    ];
    const central = fields(
      [4, file.signature ?? 0x02014b50],
      [2, 20],
      [2, 20],
      [2, flags],
      [2, method],
      [4, 0],
      [4, crc],
      [4, compressed],
      [4, size],
      ...lengths,
      [2, file.commentLength ?? 0],
      [2, file.disk ?? 0],
      [2, 0],
      [4, file.attributes ?? 0],
      [4, file.offset ?? offset],
    );
    directory.push(central, name, extra);
    bodies.push(...body);
    offset += body.reduce((sum, part) => sum + part.length, 0);
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const locator = last.zip64 ? [fields([4, 0x07064b50], [4, 0], [4, 0], [4, 0], [4, 1])] : [];
  const record = fields(
    [4, 0x06054b50],
    [4, last.disk ?? 0],
    [2, last.countHere ?? last.count ?? files.length],
    [2, last.count ?? files.length],
    [4, last.size ?? size],
    [4, last.offset ?? offset],
    [2, last.commentLength ?? last.comment],
  );
  return Buffer.concat([...bodies, ...directory, ...locator, record, Buffer.alloc(last.comment)]);
}

const SIGNATURES = [
  'PK\x01\x02',
  'PK\x03\x04',
  'PK\x05\x06',
  'PK\x06\x07',
  '\xff\xff\xff\xff',
  '\0\0\0\0',
].map((text) => Buffer.from(text, 'latin1'));
const inputs = fc
  .record({
    files: fc.array(file, { maxLength: 4 }),
    end,
    changes: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: edits(SIGNATURES, 3) },
    ),
    clean: fc.boolean(),
  })
  .map(({ files, end, changes, clean }) => {
    const honest = files.map(
      ({ name, text, stored, extra, describes, tail }) =>
        ({ name, text, stored, extra, describes, tail: clean ? new Uint8Array() : tail }) as File,
    );
    const lastOf = clean ? { comment: end.comment, zip64: false } : end;
    return {
      files,
      clean,
      archive: edited(
        archiveOf(clean ? honest : files, lastOf as typeof end extends fc.Arbitrary<infer T> ? T : never),
        clean ? [] : changes,
      ),
    };
  });

/** Names that an honest archive may have, and those of them that are texts. */
const isAllowed = (name: string) =>
  NAMES.indexOf(name) < 8 || name === '\u202e.txt' || name.startsWith('aaa') || name === 'a\n.txt';
const isText = (name: string) => /\.txt$/i.test(name) && !/^__MACOSX|^\./.test(name);

fuzz({
  name: 'zip',
  inputs,
  bytes: ({ archive }) => archive,
  attack: async ({ files, clean, archive }) => {
    const before = Buffer.from(archive);
    let texts: ZipText[];
    try {
      texts = await readZipTexts(archive, 'a.zip');
    } catch (thrown) {
      const names = files.map((file) => file.name);
      const zeros = files.some((file) => file.text.length > 99_999);
      const sound = names.every(isAllowed) && new Set(names).size === names.length && names.some(isText);
      if (clean && sound && !zeros) throw thrown;
      return expectRefusal(thrown, 'GRU_CORPUS');
    }
    if (!before.equals(archive)) throw new Error('expected the archive as it was, received a changed one');
    const total = texts.reduce((sum, { bytes }) => sum + bytes.length, 0);
    if (total > Math.max(1_000_000, 100 * archive.length))
      throw new Error(`expected a hundredfold at most, received ${total} bytes`);
    const wanted = files
      .filter(({ name }) => isText(name))
      .sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
    const right =
      wanted.length === texts.length &&
      wanted.every(({ name, text }, at) => texts[at]?.name === name && text.equals(texts[at].bytes));
    if (clean && !right) throw new Error('expected the texts of an honest archive, received others');
    return true;
  },
  runs: 1000,
  // The texts, which have at most a hundred times the archive's bytes or a million, and one more; and the inflater's
  // garbage until it is collected, some three times as much. The fixed part is what V8 may leave lying after a text of
  // 1 MB, which any archive may hold: 12.3 MB were seen.
  allowed: { times: 400, beside: 2 ** 24 },
  accepted: [0.1, 0.7],
});
