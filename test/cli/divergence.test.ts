/** What the command line makes of a run that diverges: its exit code, its two lines, and going back. */

import { expect, test } from 'vitest';
import { folder, run } from './command.js';

const SIZES = ['--hidden-size', '20', '--batch-size', '5', '--num-steps', '7', '--max-chars', '600'];
const JOB = ['--device', 'cpu', '--report-every', '1', '--sample-length', '2', ...SIZES];
/** Steps so long that every epoch is worse than guessing. */
const TOO_FAR = ['--learning-rate', '60', '--max-grad-norm', '1'];

test('a run that diverges ends with 5, names the last good checkpoint and a command that goes on', async () => {
  const cwd = folder();
  const first = await run(cwd, 'train', '--json', '--epochs', '4', ...JOB, ...TOO_FAR);
  expect(first).toMatchObject({ code: 5 });
  const [cause, remedy, ...more] = first.stderr.trimEnd().split('\n');
  expect(more).toEqual([]);
  expect(cause).toMatch(/^error: expected a mean loss of at most .* received more in the last 3 epochs/);
  expect(remedy).toMatch(
    /^100 % of the updates were clipped .* try --learning-rate 30 .*Nothing was saved yet\.$/,
  );
  expect(first.events().at(-1)).toMatchObject({ type: 'error', code: 'GRU_DIVERGED' });
});

test('with rollback the run goes back, says so, and ends well', async () => {
  const cwd = folder();
  const back = ['--on-divergence', 'rollback', '--max-rollbacks', '20'];
  const result = await run(cwd, 'train', '--epochs', '4', ...JOB, ...TOO_FAR, ...back);
  expect(result).toMatchObject({ code: 0 });
  expect(result.stderr).toMatch(
    /^note: diverged: expected a mean loss of .*\nnote: going back to epoch 0, with a learning rate of 30$/m,
  );
  const json = await run(cwd, 'train', '--json', '--overwrite', '--epochs', '4', ...JOB, ...TOO_FAR, ...back);
  expect(json.events().find(({ type }) => type === 'rollback')).toMatchObject({
    rollbacks: 1,
    learningRate: 30,
  });
});
