/**
 * npm run build:rs: compiles the addon, optimised, into the root of the project, and index.d.ts with it. Without
 * options for this machine, by its own linker. With `-- --target TRIPLE` (or GRU_NATIVE_TARGET=TRIPLE, which reaches
 * the builds inside other scripts) as it is released for that target, `host` being the target of this machine: on Linux
 * with zig and the glibc floor, so that it runs on older systems than this one. With `--output-dir FOLDER` both files
 * go there.
 */

import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { GLIBC_FLOOR, hostTarget, ROOT, releaseTargets } from './release-targets.mjs';
import { zigEnvironment } from './zig.mjs';

/** Windows may lack Visual C++'s run-time library, so it is linked in. */
const STATIC_CRT = { CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_RUSTFLAGS: '-C target-feature=+crt-static' };

/** The options of napi and the environment for a target; nothing special where none is asked for. */
function forTarget(asked) {
  if (!asked) return { options: [], env: {} };
  const triple = asked === 'host' ? hostTarget().triple : asked;
  const known = releaseTargets().map((target) => target.triple);
  if (!known.includes(triple)) {
    throw new Error(`expected one of the targets ${known.join(', ')}, received ${triple}`);
  }
  // What is released for macOS and Windows is built on machines of their own; zig knows macOS' system library, so that
  // Linux can at least try whether it links.
  const withZig = triple.includes('-linux-') || (process.platform === 'linux' && triple.endsWith('-darwin'));
  if (!withZig) return { options: ['--target', triple], env: triple.endsWith('-msvc') ? STATIC_CRT : {} };
  const spelled = triple.endsWith('-gnu') ? `${triple}.${GLIBC_FLOOR}` : triple;
  return { options: ['--cross-compile', '--target', spelled], env: zigEnvironment() };
}

try {
  const { values } = parseArgs({
    options: { target: { type: 'string' }, 'output-dir': { type: 'string', default: '.' } },
  });
  const { options, env } = forTarget(values.target ?? process.env.GRU_NATIVE_TARGET);
  const args = [
    '--platform',
    '--release',
    '--manifest-path',
    'crates/gru-napi/Cargo.toml',
    '--output-dir',
    values['output-dir'],
  ];
  const result = spawnSync('npx', ['napi', 'build', ...args, '--no-js', '--dts', 'index.d.ts', ...options], {
    stdio: 'inherit',
    cwd: ROOT,
    env: { ...process.env, ...env },
    shell: process.platform === 'win32', // npx is a script there
  });
  process.exitCode = result.status ?? 1;
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}
