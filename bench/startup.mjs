/** How long the published package takes to start: its import, and its help, beside a Node that does nothing. */

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageJson } from '../scripts/release-targets.mjs';
import { describeMachine, ROOT } from './machine.mjs';
import { Failure } from './options.mjs';
import { columns, median } from './statistics.mjs';

/** Starts of each kind, in turns. */
const STARTS = 41;

/** Runs a program to its end. */
function run(/** @type {string} */ command, /** @type {string[]} */ args, /** @type {string} */ cwd) {
  const env = { ...process.env, CUDA_VISIBLE_DEVICES: '' };
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: 'utf8' });
  if (status !== 0) throw new Failure(`expected ${command} ${args.join(' ')} to succeed, received ${stderr}`);
  return stdout;
}

/** Unpacks what would be published into `folder`, as an installation lays it out. */
function install(/** @type {string} */ folder) {
  const tarballs = join(folder, 'tarballs');
  run('npm', ['run', '--silent', 'pack:all', '--', tarballs], ROOT);
  for (const tarball of readdirSync(tarballs)) {
    const place = join(folder, 'node_modules', tarball.replace(/-\d+\.\d+\.\d+.*$/, ''));
    mkdirSync(place, { recursive: true });
    run('tar', ['xzf', join(tarballs, tarball), '--strip-components=1', '-C', place], folder);
  }
  for (const name of Object.keys(packageJson().dependencies)) {
    cpSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name), { recursive: true });
  }
}

/** @typedef {{ bare: number, help: number, import: number }} Startup milliseconds: of the process, of the import alone */

/** Medians over {@link STARTS} of each, in turns, after one of each to warm up. */
export function measureStartup() {
  const folder = mkdtempSync(join(tmpdir(), 'gru-native-startup-'));
  try {
    install(folder);
    const main = join(folder, 'node_modules/gru-native/dist/cli/main.js');
    writeFileSync(join(folder, 'nothing.mjs'), '');
    const timing =
      'const start = performance.now(); await import("gru-native"); console.log(performance.now() - start);';
    writeFileSync(join(folder, 'import.mjs'), timing);
    /** @type {{ bare: number[], help: number[], import: number[] }} */
    const times = { bare: [], help: [], import: [] };
    const wall = (/** @type {string[]} */ args) => {
      const start = performance.now();
      run(process.execPath, args, folder);
      return performance.now() - start;
    };
    for (let turn = 0; turn <= STARTS; turn++) {
      const bare = wall(['nothing.mjs']);
      const help = wall([main, '--help']);
      const imported = Number(run(process.execPath, ['import.mjs'], folder));
      if (turn === 0) continue;
      times.bare.push(bare);
      times.help.push(help);
      times.import.push(imported);
    }
    return { bare: median(times.bare), help: median(times.help), import: median(times.import) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** For people. */
export function startupReport(
  /** @type {{ machine: import('./machine.mjs').MachineFacts, startup: Startup }} */ { machine, startup },
) {
  const text = (/** @type {number} */ milliseconds) => `${milliseconds.toFixed(1)} ms`;
  const rows = [
    ['node with nothing to do', text(startup.bare)],
    ['gru-native --help', text(startup.help)],
    ['  more than that node', text(startup.help - startup.bare)],
    ["import 'gru-native', in a node that runs", text(startup.import)],
  ];
  return `${describeMachine(machine)}\n\nMedians of ${STARTS} starts:\n\n${columns(rows)}\n`;
}
