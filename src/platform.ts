/** The platform as the names of the addon's files and packages spell it, and what such a name stands for. */

/** A system that an addon can be for, in the words of npm's `--os`, `--cpu` and `--libc`. */
export interface Platform {
  os: string;
  cpu: string;
  /** Which C library; of Linux alone. */
  libc?: 'glibc' | 'musl';
}

/** The platform of this process. Asking Node for the C library takes some milliseconds. */
export function currentPlatform(): Platform & { glibcVersion?: string } {
  const here = { os: process.platform, cpu: process.arch };
  if (process.platform !== 'linux') return here;
  const report = process.report as typeof process.report & { excludeNetwork?: boolean };
  const { excludeNetwork } = report;
  report.excludeNetwork = true; // looking up the names of open connections can take seconds
  const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } };
  report.excludeNetwork = excludeNetwork ?? false;
  const { glibcVersionRuntime: glibcVersion } = header;
  return glibcVersion === undefined ? { ...here, libc: 'musl' } : { ...here, libc: 'glibc', glibcVersion };
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
