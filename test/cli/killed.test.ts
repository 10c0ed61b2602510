/**
 * Runs that are killed at any moment: what is left is whole, and they end as if they had not been. A record of the
 * campaign is written to the file that GRU_KILLED_RESULTS names; GRU_SEED sets the moments.
 */

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isTemporary } from '../../src/atomic-file.js';
import { readResumePoint } from '../../src/checkpoint.js';
import { readModelFile } from '../../src/model-file.js';
import { Random } from '../../src/random.js';
import { folder, run, SMALL, start } from './command.js';

/** Kills in all. */
const KILLS = process.env.GRU_LONG ? 200 : 20;
/** Kills of one run. */
const KILLS_OF_RUN = 10;
/** A checkpoint after every epoch: most of the time a file is being written. */
const OPTIONS = [
  '--epochs',
  '120',
  '--checkpoint-every',
  '1',
  '--report-every',
  '10',
  '--keep',
  '2',
  ...SMALL,
];

/** What a run told of its numbers. */
function numbersOf(out: string): unknown[] {
  return readFileSync(join(out, 'events.ndjson'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ type }) => type === 'epoch' || type === 'sample')
    .map(({ seconds: _seconds, tokensPerSecond: _speed, ...event }) => event);
}

test(`killed at ${KILLS} random moments and resumed, runs end with the same bytes as one that was not`, async () => {
  const cwd = folder();
  expect(await run(cwd, 'train', '--out', 'whole', ...OPTIONS)).toMatchObject({ code: 0 });
  const whole = join(cwd, 'whole');
  const model = (out: string) => readFileSync(join(out, 'model.safetensors'));
  const seed = Number(process.env.GRU_SEED ?? Date.now() % 1_000_000);
  console.log(`killed.test.ts: GRU_SEED=${seed}`);
  let kills = 0;
  let resumes = 0;
  /** Kills that left a temporary file: they came while a checkpoint was written. */
  let whileWriting = 0;
  let runs = 0;
  for (let index = 0; kills < KILLS; index++) {
    const out = join(cwd, `run-${index}`);
    const moments = new Random(seed, `kills/${index}`);
    for (let ended = false, left = KILLS_OF_RUN; !ended; ) {
      const resume = existsSync(join(out, 'trainer.safetensors'));
      if (resume) resumes += 1;
      const options = resume ? ['--resume'] : ['--overwrite', ...OPTIONS];
      const running = start(cwd, ['train', '--out', out, ...options]);
      if (left > 0) {
        // Most while it trains, and some while it starts.
        if (moments.nextFloat() < 0.8) await Promise.race([running.told('parameters'), running.finished]);
        const timer = setTimeout(() => running.child.kill('SIGKILL'), moments.nextFloat() * 400);
        running.child.on('exit', () => clearTimeout(timer));
      }
      const { code, stderr } = await running.finished;
      ended = code === 0;
      if (ended) continue;
      expect({ code, stderr }).toMatchObject({ code: null });
      kills += 1;
      left -= 1;
      whileWriting +=
        existsSync(out) && readdirSync(out, { recursive: true }).some((name) => isTemporary(String(name)))
          ? 1
          : 0;
      // Whatever there is, is whole.
      for (const [name, read] of [
        ['trainer', () => readResumePoint(out)],
        ['model', () => readModelFile(out)],
      ] as const) {
        if (existsSync(join(out, `${name}.safetensors`))) await read();
      }
    }
    expect(model(out).equals(model(whole)), `run ${index} of GRU_SEED=${seed}`).toBe(true);
    expect(numbersOf(out)).toEqual(numbersOf(whole));
    runs += 1;
  }
  expect(resumes).toBeGreaterThan(KILLS / 3);
  if (KILLS >= 100) expect(whileWriting).toBeGreaterThan(KILLS / 20);
  const record = {
    date: new Date().toISOString(),
    seed,
    kills,
    whileWriting,
    resumes,
    runs,
    options: OPTIONS,
  };
  console.log(JSON.stringify(record));
  const results = process.env.GRU_KILLED_RESULTS;
  if (results !== undefined) writeFileSync(results, `${JSON.stringify(record, null, 2)}\n`);
}, 600_000);
