/** Hostile metadata of models and trainer files: any value of JSON in any place, and JSON that is none. */

import fc from 'fast-check';
import { DEFAULT_CONFIG } from '../../src/config.js';
import { ENCODINGS } from '../../src/encoding.js';
import { checkMetadata, type ModelMetadata, newMetadata } from '../../src/model-file.js';
import { Vocabulary } from '../../src/vocabulary.js';
import { expectRefusal, fuzz } from './campaign.js';
import { edited, edits } from './edits.js';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const { device: _device, threads: _threads, ...config } = DEFAULT_CONFIG;
const MODEL = newMetadata({
  hiddenSize: 3,
  vocabulary: ['春', '眠', 'a', '\n', '𠀀'],
  corpus: { name: 'songs', characters: 5, sha256: 'a'.repeat(64) },
  config,
  epochs: 3,
  perplexity: 2.5,
});
const position = {
  ...{ epochs: 3, lossSums: [1.5, 2], gradientNorms: [0.5, 0.25] },
  ...{ epochSeconds: 0.5, perplexity: null, seconds: 2 },
  ...{ best: { epoch: 1, perplexity: 2.5 }, highEpochs: 0, rollbacks: 1 },
};
const TRAINER: ModelMetadata = {
  ...MODEL,
  trainer: { sources: ['songs'], reading: { encoding: 'auto', nfc: false }, position, eventLogBytes: 10 },
};

/** Where a value may stand: the keys that lead to it. */
function placesOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => placesOf(inner, [...path, key]))];
}

const PLACES = [
  ...placesOf(TRAINER),
  ['__proto__'],
  ['config', '__proto__'],
  ['config', 'toString'],
  ['config', 'nhid'],
];
const NUMBERS = [0, -0, 1, -1, 0.5, 1e308, -1e308, 5e-324, 2 ** 53, 2 ** 53 - 1, 2 ** 31, 4, 5];
/** Stands for a value nested so deep; JSON.stringify would take long to write it, or give up. */
const deep = (depth: number, open: string, close: string) => `deep ${depth} ${open} ${close}`;
const depth = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(1, 100) },
  { weight: 1, arbitrary: fc.constant(100_000) },
);
const COERCED: Json = { toString: 1, valueOf: null, toJSON: 'x', length: 3 };
const value: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(
    null,
    true,
    '',
    'NaN',
    'a',
    '春',
    'all',
    'auto',
    'gru-reset-after',
    '\u202e\n\0',
    '\ud800',
    [],
    {},
    COERCED,
    [COERCED],
  ),
  fc.constantFrom<Json>(
    JSON.parse('{"__proto__":{"polluted":true}}'),
    JSON.parse('{"constructor":{"prototype":{"polluted":1}}}'),
  ),
  fc.constantFrom<Json>(...NUMBERS),
  fc.double() as fc.Arbitrary<Json>,
  fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>,
  fc.nat({ max: 300 }).map((length) => Array.from({ length }, (_, i) => String.fromCodePoint(i)) as Json),
  fc.nat({ max: 3000 }).map((length) => 'x\n'.repeat(length)),
  depth.map((depth) => deep(depth, '[', ']')),
  depth.map((depth) => deep(depth, '{"a":', '}')),
);
const change = fc.record({
  place: fc.constantFrom(...PLACES),
  value: fc.option(value, { nil: undefined, freq: 8 }),
});

/** JSON text of a value, with what is deep in it. */
function textOf(json: unknown): string {
  return JSON.stringify(json).replaceAll(
    /"deep (\d+) ((?:\\"|[^"\s])+) ([\]}])"/g,
    (_, depth: string, open: string, close: string) => {
      return open.replaceAll('\\', '').repeat(Number(depth)) + 0 + close.repeat(Number(depth));
    },
  );
}

/** The metadata with values put in their places, or taken out where there is none. */
function changed(
  base: ModelMetadata,
  changes: readonly { place: readonly string[]; value: Json | undefined }[],
): string {
  let root: unknown = structuredClone(base);
  for (const { place, value } of changes) {
    const last = place.at(-1);
    let parent: unknown = root;
    for (const key of place.slice(0, -1))
      parent = (parent as Record<string, unknown> | null | undefined)?.[key];
    if (last === undefined) root = structuredClone(value ?? null);
    else if (typeof parent !== 'object' || parent === null) continue;
    else if (value === undefined) delete (parent as Record<string, unknown>)[last];
    else
      Object.defineProperty(parent, last, {
        value: structuredClone(value),
        enumerable: true,
        writable: true,
        configurable: true,
      });
  }
  return textOf(root);
}

const TOKENS = [
  '"',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '1e999',
  '-',
  '\\',
  '\\ud800',
  '"a":1,',
  '"__proto__":{},',
  'null',
  '\0',
  '[['.repeat(3000),
  '{},'.repeat(5000),
];
const inputs = fc
  .record({
    base: fc.constantFrom(MODEL, TRAINER),
    changes: fc.array(change, { maxLength: 3 }),
    edits: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: edits(TOKENS, 2) }),
  })
  .map(({ base, changes, edits }) =>
    Buffer.from(edited(Buffer.from(changed(base, changes)), edits)).toString(),
  );

const KEYS = new Set([...Object.keys(TRAINER)]);
const plain = (object: object) =>
  !('polluted' in object) &&
  Object.getPrototypeOf(object) === Object.prototype &&
  !Object.hasOwn(object, '__proto__');

/** Whether metadata that was accepted is whole: only what belongs there, and the same when it is read again. */
function expectWhole(metadata: ModelMetadata): void {
  const { config, corpus, trainer } = metadata;
  const whole =
    [metadata, config, corpus].every(plain) &&
    Object.keys(metadata).every((key) => KEYS.has(key)) &&
    Object.keys(config).toString() === Object.keys(MODEL.config).toString() &&
    [metadata.hiddenSize, metadata.epochs, corpus.characters].every(
      (count) => Number.isSafeInteger(count) && count >= 0,
    ) &&
    [corpus.name, metadata.packageVersion].every((text) => typeof text === 'string') &&
    (metadata.perplexity === null || Number.isFinite(metadata.perplexity)) &&
    (trainer === undefined ||
      (trainer.sources.every((name) => typeof name === 'string') &&
        ENCODINGS.includes(trainer.reading.encoding) &&
        trainer.position.lossSums.length === trainer.position.gradientNorms.length &&
        [...trainer.position.lossSums, trainer.position.seconds, trainer.eventLogBytes].every(
          Number.isFinite,
        )));
  const json = JSON.stringify(metadata);
  if (!whole || JSON.stringify(checkMetadata(json, 'again')) !== json)
    throw new Error(`expected whole metadata, received ${json}`);
}

fuzz({
  name: 'metadata',
  inputs,
  bytes: (json) => Buffer.from(json),
  attack: (json) => {
    let metadata: ModelMetadata;
    try {
      metadata = checkMetadata(json, 'model.safetensors');
    } catch (thrown) {
      return expectRefusal(thrown, 'GRU_MODEL');
    }
    expectWhole(metadata);
    let vocabulary: Vocabulary;
    try {
      vocabulary = new Vocabulary(metadata.vocabulary);
    } catch (thrown) {
      return expectRefusal(thrown, 'GRU_VOCABULARY');
    }
    const ids = vocabulary.encode(vocabulary.characters.join(''), 'its own');
    const right = ids.length === metadata.vocabulary.length && ids.every((id, at) => id === at);
    if (!right) throw new Error(`expected distinct characters, received ${vocabulary.characters}`);
    return true;
  },
  runs: 2500,
  // V8's strings have two bytes a unit, its objects some hundred each.
  allowed: { times: 40, beside: 2 ** 20 },
  accepted: [0.05, 0.6],
});
