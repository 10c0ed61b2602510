/** The platform as the names of the addon's files and packages spell it, and what such a name stands for. */

import { closeSync, openSync, readSync } from 'node:fs';

/** A system that an addon can be for, in the words of npm's `--os`, `--cpu` and `--libc`. */
export interface Platform {
  os: string;
  cpu: string;
  /** Which C library; of Linux alone. */
  libc?: 'glibc' | 'musl';
}

/** The platform of this process. */
export function currentPlatform(): Platform {
  const here = { os: process.platform, cpu: process.arch };
  return process.platform === 'linux' ? { ...here, libc: libcOf(process.execPath) } : here;
}

/** The C library of a Node, by the loader that the head of its file names: asking Node itself takes some milliseconds. */
function libcOf(node: string): 'glibc' | 'musl' {
  const head = Buffer.alloc(4096);
  try {
    const file = openSync(node, 'r');
    readSync(file, head, 0, head.length, 0);
    closeSync(file);
  } catch {
    // Nothing is known of it then.
  }
  if (head.includes('/ld-musl-')) return 'musl';
  return head.includes('/ld-linux') || glibcVersion() !== undefined ? 'glibc' : 'musl';
}

/** The version of glibc that this process has, where it has one. */
export function glibcVersion(): string | undefined {
  const report = process.report as typeof process.report & { excludeNetwork?: boolean };
  const { excludeNetwork } = report;
  report.excludeNetwork = true; // looking up the names of open connections can take seconds
  const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } };
  report.excludeNetwork = excludeNetwork ?? false;
  return header.glibcVersionRuntime;
}

/** Its name, such as `linux-x64-gnu`. */
export function platformName({ os, cpu, libc }: Platform): string {
  if (os === 'win32') return `${os}-${cpu}-msvc`;
  return libc === undefined ? `${os}-${cpu}` : `${os}-${cpu}-${libc === 'glibc' ? 'gnu' : libc}`;
}

/** The platform that a name stands for. */
export function platformOf(name: string): Platform {
  const [os = '', cpu = '', abi] = name.split('-');
  return os === 'linux' ? { os, cpu, libc: abi === 'musl' ? 'musl' : 'glibc' } : { os, cpu };
}
