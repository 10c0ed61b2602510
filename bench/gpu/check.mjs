/**
 * Checks everything that only a machine with a GPU can show. check.sh starts it in a bundle that
 * `npm run gpu:bundle` made, with the bundle's own Node; it needs nothing else. Writes one JSON file, again after
 * each part, and prints a table last. Ends by itself in under 10 minutes. Exit codes: 0 everything passed or was
 * skipped with a reason, 1 something failed, 2 usage, 4 no device, 130 or 143 stopped by a signal.
 *
 *   [OUTPUT.json]            where the result goes (gpu-check.json)
 *   --parts NAME,...         only these parts, and machine
 *   --limit NAME=SECONDS     another time limit for a part; may be repeated
 *   --python PROGRAM         a Python with PyTorch (python3)
 *   --bundle FOLDER          another bundle than the one this file is in
 */

import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { chapter } from './chapter.mjs';
import { cpu } from './cpu.mjs';
import { machine } from './machine.mjs';
import { conformance, pytorch, sanitizer } from './parts.mjs';
import { stopAll } from './processes.mjs';
import { micro, timing } from './timing.mjs';
import { EXIT, exitCode, LIMITS, table, texts } from './verdict.mjs';

/**
 * @typedef {object} Context What a part is given.
 * @property {string} bundle
 * @property {string} folder an empty one, removed at the end
 * @property {{ platform: string, glibc: string }} requires of the machine, by bundle.json
 * @property {string} python
 * @property {() => number} left seconds until the part's time is over
 * @property {{ device: 'present' | 'absent' | 'broken', epochSeconds?: number }} facts what later parts need to know
 */

const PARTS = { machine, conformance, timing, micro, chapter, cpu, sanitizer, pytorch };
const NAMES = Object.keys(PARTS);
const SIGNALS = /** @type {const} */ ({ SIGINT: 130, SIGTERM: 143 });

class UsageError extends Error {}

function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      parts: { type: 'string', default: NAMES.join(',') },
      limit: { type: 'string', multiple: true, default: [] },
      python: { type: 'string', default: 'python3' },
      bundle: { type: 'string', default: join(import.meta.dirname, '../..') },
    },
  });
  if (positionals.length > 1)
    throw new UsageError(`expected one output file, received ${positionals.length}`);
  const parts = values.parts.split(',');
  /** @type {Record<string, number>} */
  const limits = { ...LIMITS };
  for (const text of values.limit) {
    const [, name, seconds] = /^(\w+)=(\d+(?:\.\d+)?)$/.exec(text) ?? [];
    if (name === undefined) throw new UsageError(`expected NAME=SECONDS for --limit, received ${text}`);
    parts.push(name);
    limits[name] = Number(seconds);
  }
  const unknown = parts.find((name) => !NAMES.includes(name));
  if (unknown !== undefined)
    throw new UsageError(`expected parts of ${NAMES.join(', ')}, received ${unknown}`);
  const chosen = values.parts.split(',');
  return {
    ...values,
    bundle: resolve(values.bundle),
    chosen,
    limits,
    output: resolve(positionals[0] ?? 'gpu-check.json'),
  };
}

function write(/** @type {string} */ path, /** @type {object} */ result) {
  writeFileSync(`${path}.tmp`, `${JSON.stringify(result, null, 2)}\n`);
  renameSync(`${path}.tmp`, path);
}

async function main() {
  const { bundle, chosen, limits, output, python } = readOptions();
  const about = JSON.parse(readFileSync(join(bundle, 'bundle.json'), 'utf8'));
  if (!about.requires)
    throw new Error(`expected a whole bundle in ${bundle}, received one that was being made`);
  /** @type {Record<string, import('./verdict.mjs').Part>} */
  const parts = {};
  const result = {
    v: 1,
    type: 'gpu-check',
    date: new Date().toISOString(),
    bundle: about,
    limits,
    exitCode: -1,
    parts,
  };
  write(output, result);

  /** @type {keyof typeof SIGNALS | undefined} */
  let stopped;
  for (const signal of /** @type {(keyof typeof SIGNALS)[]} */ (Object.keys(SIGNALS))) {
    process.on(signal, () => {
      stopped ??= signal;
      stopAll(`stopped by ${signal}`);
    });
  }

  const folder = mkdtempSync(join(tmpdir(), 'gru-native-gpu-'));
  /** @type {Context['facts']} */
  const facts = { device: 'broken' };
  try {
    for (const [name, check] of Object.entries(PARTS)) {
      if (stopped || (name !== 'machine' && !chosen.includes(name))) {
        parts[name] = { result: 'skipped', reason: stopped ? `stopped by ${stopped}` : 'not asked for' };
        continue;
      }
      process.stderr.write(`${name}: at most ${limits[name]} s\n`);
      const start = performance.now();
      const elapsed = () => (performance.now() - start) / 1000;
      const left = () => limits[name] - elapsed();
      const { requires } = about;
      /** @type {Promise<any>} */
      const outcome = check({ bundle, folder, requires, python, left, facts });
      const part = await outcome.catch((error) => ({ result: 'failed', reason: error.message }));
      parts[name] = { result: part.result, seconds: Number(elapsed().toFixed(2)), ...part };
      process.stderr.write(`${name}: ${part.result} in ${elapsed().toFixed(1)} s\n`);
      write(output, result);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }

  result.exitCode = stopped ? SIGNALS[stopped] : exitCode(parts);
  write(output, result);
  const { version, commit } = about;
  process.stdout.write(`gru-native ${version} (${commit}), ${result.date}: ${output}\n\n`);
  process.stdout.write(`${texts(parts)}${table(parts)}\n`);
  return result.exitCode;
}

try {
  process.exitCode = await main();
} catch (/** @type {any} */ error) {
  const usage = error instanceof UsageError || error.code?.startsWith?.('ERR_PARSE_ARGS');
  process.stderr.write(`${usage ? error.message : error.stack}\n`);
  process.exitCode = usage ? EXIT.usage : EXIT.failed;
}
