/** Hostile gzip files: members whose fields may lie, cut, changed and joined, beside Node's own gunzipSync. */

import { crc32, deflateRawSync, gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { gunzip } from '../../src/gzip.js';
import { ZIP_LIMITS } from '../../src/zip.js';
import { expectRefusal, fuzz } from './campaign.js';
import { edited, edits } from './edits.js';

/** Bytes that do not compress. */
const NOISE = Buffer.alloc(65_536);
for (let at = 0, state = 1; at < NOISE.length; at++) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  NOISE[at] = state >>> 24;
}
/** Bytes of the file that are fed to the inflater at a time. */
const STEP = 65_536;
const SMALL = { entryBytes: 3000, ratio: 20, ratioFromBytes: 1000 };

const text = fc.oneof(
  { weight: 60, arbitrary: fc.string({ maxLength: 60 }).map((text) => Buffer.from(text)) },
  { weight: 8, arbitrary: fc.nat({ max: 1500 }).map((length) => Buffer.from('la '.repeat(length))) },
  // A member that ends close to where a step does.
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 50 }).map((less) => NOISE.subarray(0, STEP - less)) },
  { weight: 4, arbitrary: fc.integer({ min: 990, max: 1010 }).map((length) => Buffer.alloc(length)) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(999_999, 1_000_000, 1_000_001, 3_000_000)
      .map((length) => Buffer.alloc(length)),
  },
);
const lie = fc.oneof(
  { weight: 60, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 0x7fffffff, 0xffffffff) },
);
const member = fc
  .record({
    ...{ text, level: fc.constantFrom(0, 1, 9) },
    flags: fc.oneof(
      { weight: 3, arbitrary: fc.constant(0) },
      { weight: 2, arbitrary: fc.nat({ max: 31 }) },
      { weight: 1, arbitrary: fc.constantFrom(32, 128) },
    ),
    ...{ method: lie, headerCrc: lie, crc: lie, size: lie },
  })
  .map(({ text, level, flags, method, headerCrc, crc, size }) => {
    const header = Buffer.concat([
      Buffer.from([0x1f, 0x8b, method ?? 8, flags, 0, 0, 0, 0, 0, 3]),
      Buffer.from(flags & 4 ? '\x03\0abc' : ''),
      Buffer.from(flags & 8 ? 'name.txt\0' : ''),
      Buffer.from(flags & 16 ? 'said of it\0' : ''),
    ]);
    const check = Buffer.alloc(flags & 2 ? 2 : 0);
    if (flags & 2) check.writeUInt16LE((headerCrc ?? crc32(header)) & 0xffff);
    const end = Buffer.alloc(8);
    end.writeUInt32LE(crc ?? crc32(text), 0);
    end.writeUInt32LE(size ?? text.length, 4);
    const isHonest = flags < 32 && [method, headerCrc, crc, size].every((field) => field === undefined);
    return { text, isHonest, bytes: Buffer.concat([header, check, deflateRawSync(text, { level }), end]) };
  });
/** Zeros may fill up a file; nothing may be behind them. */
const rest = fc.oneof(
  { weight: 12, arbitrary: fc.constant('') },
  { weight: 1, arbitrary: fc.constantFrom('\0', '\0'.repeat(512), '\0'.repeat(STEP)) },
  { weight: 1, arbitrary: fc.constantFrom('\0a', 'a', '\x1f', '\x1f\x8b', '\0'.repeat(STEP + 1)) },
);
const hostile = fc
  .record({
    parts: fc.array(fc.record({ member, rest }), { minLength: 1, maxLength: 3 }),
    changes: fc.oneof(
      { weight: 5, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: edits(['\x1f', '\0', '\0\0\0\0'], 2) },
      {
        weight: 1,
        arbitrary: fc
          .double({ min: 0, max: 1, noNaN: true })
          .map((at) => [{ at, remove: 1e9, insert: new Uint8Array() }]),
      },
    ),
    limits: fc.constantFrom(ZIP_LIMITS, ZIP_LIMITS, SMALL),
  })
  .map(({ parts, changes, limits }) => {
    const whole = Buffer.concat(
      parts.flatMap(({ member, rest }) => [member.bytes, Buffer.from(rest, 'latin1')]),
    );
    const isHonest =
      changes.length === 0 &&
      parts.every(({ member }) => member.isHonest) &&
      parts.slice(0, -1).every(({ rest }) => rest === '') &&
      /^\0*$/.test(parts.at(-1)?.rest ?? '');
    const isLost = changes.length === 0 && parts.slice(0, -1).some(({ rest }) => rest.startsWith('\0'));
    const text = Buffer.concat(parts.map(({ member }) => member.text));
    return { limits, text, isHonest, isLost, bytes: edited(whole, changes) };
  });

/** Node's own reading of the whole. */
function plainly(bytes: Uint8Array, maxOutputLength: number): Buffer | undefined {
  try {
    return gunzipSync(bytes, { maxOutputLength });
  } catch {
    return undefined;
  }
}

/** With what is expected of them, so that the measured time and memory are the package's own. */
const inputs = hostile.map((input) => {
  const { entryBytes, ratio, ratioFromBytes } = input.limits;
  const limit = Math.min(entryBytes, Math.max(ratioFromBytes, ratio * input.bytes.length));
  return { ...input, limit, expected: plainly(input.bytes, limit) };
});

fuzz({
  name: 'gzip',
  inputs,
  bytes: ({ bytes }) => bytes,
  attack: async ({ bytes, limits, limit, expected, text, isHonest, isLost }) => {
    const before = Buffer.from(bytes);
    const isRefused = expected === undefined || isLost;
    if (isHonest && expected === undefined && text.length <= limit)
      throw new Error('expected an honest file to be one, received one that Node refuses');
    const result = await gunzip(bytes, 'a.gz', undefined, limits).catch((thrown: unknown) => {
      const after = /other bytes after its end at byte offset (\d+)$/.exec((thrown as Error).message)?.[1];
      const at = Number(after);
      const isBehind =
        after !== undefined &&
        bytes[at - 1] === 0 &&
        bytes[at] !== 0 &&
        plainly(bytes.subarray(0, at), limit) !== undefined;
      if (isHonest ? text.length <= limit : !isRefused && !isBehind) throw thrown;
      return expectRefusal(thrown, 'GRU_CORPUS');
    });
    if (!before.equals(bytes)) throw new Error('expected the bytes as they were, received changed ones');
    if (result === false) return false;
    if (isRefused) throw new Error(`expected a refusal, received ${result.length} bytes`);
    if (!expected.equals(result) || (isHonest && !text.equals(result)))
      throw new Error(`expected ${expected.length} bytes, received ${result.length} or others`);
    return true;
  },
  runs: 500,
  // The text, a hundred times the file at most or a million bytes, and its chunks until they are collected.
  allowed: { times: 300, beside: 2 ** 23 },
  accepted: [0.3, 0.8],
});
