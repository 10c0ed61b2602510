/** A text as a model reads it: its ids, under a policy for the characters that the model does not know. */

import {
  checkUnknownPolicy,
  type Known,
  UnknownCharacters,
  type UnknownPolicy,
  type UnknownReport,
  unknownError,
} from './unknown.js';
import type { Vocabulary } from './vocabulary.js';

/** A text that was read. */
export interface Reading {
  /** `[characters read]`, those read instead of others included. */
  ids: Uint32Array;
  report: UnknownReport;
}

/**
 * The ids of a text's characters. Known ones cost what `Vocabulary.encode` does.
 *
 * @param label - what the text is, for messages: `the prefix`, `the text`
 * @throws GruError GRU_VOCABULARY naming the characters, with their positions, about which the policy can do nothing;
 * GRU_USAGE for another policy
 */
export async function readText(
  vocabulary: Vocabulary,
  text: string,
  label: string,
  policy: UnknownPolicy = 'error',
): Promise<Reading> {
  checkUnknownPolicy(policy, 'unknown');
  const unknown = new UnknownCharacters(policy === 'nearest' ? await nearestIn(vocabulary) : undefined);
  const ids = vocabulary.encodeWith(text, (code, position) => unknown.note(code, position));
  const report = unknown.report(ids.length);
  if (policy !== 'skip' && report.skipped > 0) {
    throw policy === 'error'
      ? await notRead(vocabulary, label, report)
      : nothingNear(vocabulary, label, report);
  }
  return { ids, report };
}

/** Finds the first of the characters nearest to one that has an id. */
async function nearestIn(vocabulary: Vocabulary): Promise<(character: string) => Known | undefined> {
  const { nearestTo } = await import('./nearest.js');
  return (character) => {
    for (const near of nearestTo(character)) {
      const id = vocabulary.idOf(near);
      if (id !== undefined) return { character: near, id };
    }
    return undefined;
  };
}

async function notRead(vocabulary: Vocabulary, label: string, { unknown }: UnknownReport) {
  const nearest = await nearestIn(vocabulary);
  const suggest = (character: string) => nearest(character)?.character;
  const others = '--unknown skip leaves unknown characters out';
  const hint = unknown.every(({ character }) => suggest(character) !== undefined)
    ? `--unknown nearest reads the characters suggested, ${others}.`
    : `${others}; else use characters of the text that the model was trained on.`;
  const expected = `the model's ${vocabulary.size} characters`;
  return unknownError(unknown, { label, expected, hint }, suggest);
}

function nothingNear(vocabulary: Vocabulary, label: string, { unknown }: UnknownReport) {
  return unknownError(
    unknown.filter(({ replacement }) => replacement === null),
    {
      label,
      expected: `the model's ${vocabulary.size} characters or near ones`,
      hint: 'Nothing near these is among them: take them out of the text, or --unknown skip leaves all unknown ones out.',
    },
  );
}
