/**
 * What Linux lets this process have of its processors and memory: cgroups of versions 1 and 2, and the affinity. Read as
 * text through a function, so that other systems and machines can be put in its place.
 */

/** The text of a file, or nothing where there is none that may be read. */
export type ReadText = (path: string) => string | undefined;

/** What is absent is not limited, or not told. */
export interface Limits {
  /** Processors that the process may run on. */
  allowedCpus?: number;
  /** Processors' worth of time that its cgroups grant, such as 1.5. */
  cpuQuota?: number;
  /** Bytes of memory that its cgroups grant. */
  memoryBytes?: number;
}

/** Version 1 has no word for "no limit" but a number near 2^63. */
const NO_LIMIT = 2 ** 60;

/** Reads the limits of this process. */
export function findLimits(read: ReadText): Limits {
  const quotas: number[] = [];
  const memories: number[] = [];
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const folder of upwards(path)) {
      const file = (controller: string, name: string) =>
        read(`/sys/fs/cgroup${controller}${folder}/${name}`)?.trim();
      if (controllers === '') {
        quotas.push(quotaOf(...((file('', 'cpu.max') ?? '').split(' ') as [string, string?])));
        memories.push(Number(file('', 'memory.max') ?? Number.NaN));
      }
      if (controllers.split(',').includes('cpu')) {
        quotas.push(quotaOf(file('/cpu', 'cpu.cfs_quota_us'), file('/cpu', 'cpu.cfs_period_us')));
      }
      if (controllers.split(',').includes('memory')) {
        memories.push(Number(file('/memory', 'memory.limit_in_bytes') ?? Number.NaN));
      }
    }
  }
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(read('/proc/self/status') ?? '')?.[1];
  return {
    ...(list === undefined ? {} : { allowedCpus: countOf(list) }),
    ...least('cpuQuota', quotas, Number.POSITIVE_INFINITY),
    ...least('memoryBytes', memories, NO_LIMIT),
  };
}

/** A cgroup's folder and those above it, whose limits hold too; a container may see its own at the root alone. */
function upwards(path: string): string[] {
  const names = path.split('/').filter(Boolean);
  return names.map((_, index) => `/${names.slice(0, names.length - index).join('/')}`).concat('');
}

/** Time granted in a period over the period; `max` and -1 are no limit. */
function quotaOf(granted = '', period = ''): number {
  const quota = Number(granted) / Number(period);
  return quota > 0 ? quota : Number.NaN;
}

/** The smallest number below `none`, under a name; what is no number does not count. */
function least<Name extends string>(name: Name, values: readonly number[], none: number) {
  const limits = values.filter((value) => value < none);
  return limits.length === 0 ? {} : ({ [name]: Math.min(...limits) } as Record<Name, number>);
}

/** How many a list such as `0-3,8` holds. */
function countOf(list: string): number {
  return list.split(',').reduce((count, range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return count + last - first + 1;
  }, 0);
}
