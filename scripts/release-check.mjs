/**
 * npm run release:check -- [--only PLATFORM] [--markdown FILE]: as many steps of a release as one Linux machine can
 * take, for every target: compiles without a warning, links, trains on that platform's Node where one runs here and
 * compares the model with this machine's, byte for byte. Prints what was done and what could not be, also as Markdown
 * for the release's notes. For developers on x86-64 Debian or Ubuntu; not part of npm test.
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { addTargets, buildAddon, checkCode, packProject, testsOnArm, train } from './release-steps.mjs';
import { hostPlatform, releaseTargets } from './release-targets.mjs';

const USAGE = `usage: npm run release:check -- [--only PLATFORM] [--markdown FILE]

  --only PLATFORM  one of ${releaseTargets()
    .map(({ platform }) => platform)
    .join(', ')}
  --markdown FILE  writes the table there, as the release's notes take it

Needs Debian or Ubuntu on x86-64 (tried: Debian 12), Rust from rustup, python3 with pip. Downloads zig into .zig/ and
Nodes of other platforms into .emulators/ at first, 1.4 GB in all.`;

const HOST = 'linux-x64-gnu';
/** Why the addon of a platform is not loaded here. */
const NO_NODE = {
  'darwin-x64': 'no macOS here',
  'darwin-arm64': 'no macOS here',
  'win32-x64-msvc': 'no Windows here, and nothing links for MSVC without its libraries',
};

/** Does a step and notes it as a row, also where it fails; what it returned is `{ done, detail }`. */
async function take(rows, platform, step, action) {
  const start = performance.now();
  console.log(`${platform}: ${step}`);
  let result;
  try {
    result = await action();
  } catch (error) {
    console.error(error.message);
    result = { done: 'FAILED', detail: error.message.split('\n')[0] };
  }
  rows.push({ platform, step, ...result, seconds: (performance.now() - start) / 1000 });
  return result.done !== 'FAILED';
}

/** Compiles and links the addons; the platforms that have one then. */
async function buildAll(rows, targets) {
  const linked = [];
  for (const { triple, platform } of targets) {
    await take(rows, platform, 'compiles without a warning', () => checkCode(triple));
    if (platform.startsWith('win32')) continue;
    const built = await take(rows, platform, 'addon', () => buildAddon({ triple, platform }));
    if (built) linked.push(platform);
  }
  return linked;
}

/** Trains on every platform that has a Node here, the host first: the others are compared with it. */
async function trainAll(rows, linked, targets) {
  if (!(await take(rows, 'all', 'packages', packProject))) return;
  let expected;
  for (const { platform } of targets) {
    const why = NO_NODE[platform];
    if (why) rows.push({ platform, step: 'training', done: 'not run', detail: why, seconds: 0 });
    else if (linked.includes(platform)) {
      await take(rows, platform, 'training', () => {
        const { facts, ...result } = train(platform, expected);
        expected ??= facts;
        return result;
      });
    }
  }
}

function asMarkdown(rows) {
  const lines = rows.map(
    ({ platform, step, done, detail, seconds }) =>
      `| ${platform} | ${step} | ${done} | ${detail} | ${Math.round(seconds)} |`,
  );
  return `| platform | step | what was done | | seconds |\n| --- | --- | --- | --- | ---: |\n${lines.join('\n')}\n`;
}

async function releaseCheck({ only, markdown }) {
  if (hostPlatform() !== HOST)
    throw new Error(`expected a machine that is ${HOST}, received ${hostPlatform()}`);
  const known = releaseTargets().sort((a, b) => (b.platform === HOST) - (a.platform === HOST));
  if (only && !known.some(({ platform }) => platform === only)) {
    throw new Error(`expected a platform, received ${only}\n${USAGE}`);
  }
  const targets = known.filter(({ platform }) => !only || [HOST, only].includes(platform));
  addTargets(targets.map(({ triple }) => triple));
  const rows = [];
  const linked = await buildAll(rows, targets);
  if (targets.some(({ platform }) => platform === 'linux-arm64-gnu')) {
    await take(rows, 'linux-arm64-gnu', 'tests of the arithmetic', testsOnArm);
  }
  if (linked.includes(HOST)) await trainAll(rows, linked, targets);
  const table = asMarkdown(rows);
  console.log(`\n${table}`);
  if (markdown) writeFileSync(markdown, table);
  return rows.every(({ done }) => done !== 'FAILED');
}

try {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, markdown: { type: 'string' }, help: { type: 'boolean' } },
  });
  if (values.help) console.log(USAGE);
  else process.exitCode = (await releaseCheck(values)) ? 0 : 1;
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}
