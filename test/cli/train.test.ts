import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { folder, run, SMALL, start } from './command.js';

const schema = JSON.parse(readFileSync(new URL('../../events.schema.json', import.meta.url), 'utf8'));
const validate = new Ajv2020({ allowUnionTypes: true }).compile(schema);

/** Every event fits the published schema. */
function expectValid(events: object[]): void {
  expect(events.length).toBeGreaterThan(0);
  for (const event of events)
    expect(validate(event), `${JSON.stringify(event)}: ${JSON.stringify(validate.errors)}`).toBe(true);
}

test('trains the embedded corpus, reports, and leaves a model that generate uses', async () => {
  const cwd = folder();
  const trained = await run(cwd, 'train', '--epochs', '4', '--report-every', '2', ...SMALL);
  expect(trained).toMatchObject({ code: 0 });
  expect(trained.stdout.match(/^epoch \d+, perplexity [\d.]+/gm)).toHaveLength(2);
  expect(trained.stdout.match(/^ - (分开|不分开|战争中部队)/gm)?.length ?? 0).toBe(0); // not in 600 characters
  expect(trained.stderr).toMatch(/note: the default prefixes are not in this text/);
  expect(trained.stderr).toMatch(/note: using the first 600 of 24002 characters; --max-chars all uses all/);
  expect(existsSync(join(cwd, 'gru-model/model.safetensors'))).toBe(true);
  const written = await run(cwd, 'generate', '--prefix', '末班车', '--prefix', '车', '--length', '7');
  expect(written).toMatchObject({ code: 0, stderr: '' });
  const lines = written.stdout.split('\n');
  expect(lines).toHaveLength(3);
  expect(lines[0]?.startsWith('末班车')).toBe(true);
  expect([...(lines[0] as string)]).toHaveLength(10);
  expect([...(lines[1] as string)]).toHaveLength(8);
});

test('with --json, stdout is NDJSON that fits the published schema, and the log is the same', async () => {
  const cwd = folder();
  const result = await run(
    cwd,
    'train',
    '--json',
    '--epochs',
    '2',
    '--report-every',
    '1',
    '--prefix',
    '车',
    ...SMALL,
  );
  expect(result).toMatchObject({ code: 0, stderr: '' });
  const events = result.events();
  expectValid(events);
  expect(events.map((event) => event.type)).toEqual([
    'start',
    'epoch',
    'sample',
    'checkpoint',
    'epoch',
    'sample',
    'checkpoint',
    'end',
  ]);
  expect(events[0]).toMatchObject({
    corpus: { characters: 600, totalCharacters: 24002 },
    device: 'cpu',
    parameters: expect.any(Number),
  });
  const [, epoch] = events as [object, Record<string, number>];
  expect(epoch.perplexity).toBeCloseTo(Math.exp((epoch.lossSum as number) / (epoch.tokens as number)), 10);
  expect(readFileSync(join(cwd, 'gru-model/events.ndjson'), 'utf8')).toBe(result.stdout);
});

test('the schema refuses what is not an event', () => {
  expect(validate({ v: 1, type: 'epoch' })).toBe(false);
  expect(validate({ v: 2, type: 'checkpoint', epoch: 1, path: 'x' })).toBe(false);
  expect(validate({ v: 1, type: 'checkpoint', epoch: 1, path: 'x', more: 1 })).toBe(false);
});

test('--epochs 0 writes the initialised model; --init-from goes on from it', async () => {
  const cwd = folder();
  expect(await run(cwd, 'train', '--epochs', '0', '--out', 'zero', ...SMALL)).toMatchObject({ code: 0 });
  const train = (out: string, ...more: string[]) =>
    run(cwd, 'train', '--epochs', '3', '--out', out, ...SMALL, ...more);
  expect(await train('direct')).toMatchObject({ code: 0 });
  expect(await train('from-zero', '--init-from', 'zero')).toMatchObject({ code: 0 });
  const bytes = (name: string) => readFileSync(join(cwd, name, 'model.safetensors'));
  expect(bytes('from-zero').equals(bytes('direct'))).toBe(true);
  writeFileSync(join(cwd, 'other.txt'), 'abcdefgh'.repeat(100));
  const other = await run(cwd, 'train', 'other.txt', '--init-from', 'zero', '--out', 'x', ...SMALL);
  expect(other).toMatchObject({ code: 3 });
  expect(other.stderr).toMatch(/^error: expected corpus other\.txt .*unknown "a" \(U\+0061\) at position 1/);
});

test('an output directory that holds a model is never overwritten silently', async () => {
  const cwd = folder();
  expect(await run(cwd, 'train', '--epochs', '1', ...SMALL)).toMatchObject({ code: 0 });
  const again = await run(cwd, 'train', '--epochs', '1', ...SMALL);
  expect(again.code).toBe(2);
  expect(again.stderr).toMatch(/--resume.*--overwrite.*--out/);
  expect(await run(cwd, 'train', '--epochs', '1', '--overwrite', ...SMALL)).toMatchObject({ code: 0 });
});

test('a run that is resumed ends with the same bytes as one that never stopped', async () => {
  const cwd = folder();
  const options = ['--sampling', 'random', '--report-every', '3', ...SMALL];
  expect(await run(cwd, 'train', '--epochs', '7', '--out', 'whole', ...options)).toMatchObject({ code: 0 });
  expect(await run(cwd, 'train', '--epochs', '4', '--out', 'parts', ...options)).toMatchObject({ code: 0 });
  const resumed = await run(cwd, 'train', '--resume', '--out', 'parts', '--epochs', '7', '--threads', '1');
  expect(resumed).toMatchObject({ code: 0 });
  expect(resumed.stderr).toMatch(/going on after epoch 4/);
  const bytes = (name: string) => readFileSync(join(cwd, name, 'model.safetensors'));
  expect(bytes('parts').equals(bytes('whole'))).toBe(true);
  const epochs = (name: string) =>
    readFileSync(join(cwd, name, 'events.ndjson'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('"type":"epoch"'))
      .map((line) => JSON.parse(line))
      .map(({ epoch, lossSum, gradNormMedian, clippedShare }) => ({
        epoch,
        lossSum,
        gradNormMedian,
        clippedShare,
      }));
  expect(epochs('parts')).toEqual(epochs('whole'));

  const changed = await run(cwd, 'train', '--resume', '--out', 'parts', '--learning-rate', '0.5');
  expect(changed.code).toBe(2);
  expect(changed.stderr).toMatch(/learningRate, 0\.2, received 0\.5/);
  const otherText = await run(cwd, 'train', 'jaychou.txt', '--resume', '--out', 'parts');
  expect(otherText.code).toBe(3);
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('%s finishes the update, saves, tells how to go on, and exits with %i', async (signal, code) => {
  const cwd = folder();
  const options = ['--json', '--out', 'run here', '--epochs', '100000', '--report-every', '100000', ...SMALL];
  const running = start(cwd, ['train', ...options]);
  await running.printed('"epoch":3,');
  const before = performance.now();
  running.child.kill(signal);
  const stopped = await running.finished;
  expect(performance.now() - before).toBeLessThan(1000);
  expect(stopped.code).toBe(code);
  expect(stopped.stderr).toMatch(/go on with: npx gru-native train --resume --out 'run here'$/m);
  const events = stopped.events();
  expectValid(events);
  expect(events.slice(-2).map((event) => event.type)).toEqual(['checkpoint', 'error']);
  const done = (events.at(-2) as { epoch: number }).epoch;
  const resumed = await run(
    cwd,
    'train',
    '--resume',
    '--out',
    'run here',
    '--json',
    '--epochs',
    String(done + 2),
  );
  expect(resumed.code).toBe(0);
  const direct = [
    'train',
    '--out',
    'direct',
    '--epochs',
    String(done + 2),
    ...SMALL,
    '--report-every',
    '100000',
  ];
  expect(await run(cwd, ...direct)).toMatchObject({ code: 0 });
  const bytes = (name: string) => readFileSync(join(cwd, name, 'model.safetensors'));
  expect(bytes('run here').equals(bytes('direct'))).toBe(true);
});

test('a closed output saves the run and ends quietly', async () => {
  const cwd = folder();
  const running = start(cwd, ['train', '--json', '--epochs', '100000', '--report-every', '100000', ...SMALL]);
  await running.printed('"epoch":2,');
  running.child.stdout?.destroy();
  expect(await running.finished).toMatchObject({ code: 0, stderr: '' });
  expect(existsSync(join(cwd, 'gru-model/trainer.safetensors'))).toBe(true);
});

test('--quiet prints nothing', async () => {
  const result = await run(folder(), 'train', '--quiet', '--epochs', '1', ...SMALL);
  expect(result).toMatchObject({ code: 0, stdout: '', stderr: '' });
});

test('reads a corpus from stdin', async () => {
  const running = start(
    folder(),
    ['train', '-', '--json', '--epochs', '1', ...SMALL],
    '春眠不觉晓\r\n处处闻啼鸟\n'.repeat(60),
  );
  const result = await running.finished;
  expect(result.code).toBe(0);
  expect(result.events()[0]).toMatchObject({ corpus: { name: 'stdin', characters: 600, vocabSize: 10 } });
});
