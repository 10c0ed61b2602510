/** The directory of a run: made if it is not there, held by one run at a time, cleared of what a crash left behind. */

import { mkdir, readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { ioError, isTemporary, syncDirectory } from './atomic-file.js';
import { GruError } from './errors.js';
import { FileLock } from './native.js';

/** The file that a run holds while it runs. */
const LOCK_FILE = 'run.lock';

/** An output directory that is held. */
export class OutputDirectory {
  readonly path: string;
  readonly #lock: FileLock;

  private constructor(path: string, lock: FileLock) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Makes the directory and keeps other runs out of it until it is released.
   *
   * @throws GruError GRU_OUTPUT_BUSY when another run, of this process or another, holds it; GRU_IO
   */
  static async open(path: string): Promise<OutputDirectory> {
    let lock: FileLock | undefined;
    try {
      const made = await makeDirectory(path);
      if (made !== undefined) await syncDirectory(dirname(resolve(made)));
      lock = new FileLock(join(path, LOCK_FILE), `${process.pid} ${hostname()}`);
      await removeTemporaries(path);
      return new OutputDirectory(path, lock);
    } catch (cause) {
      lock?.release();
      const { code, message } = cause as NodeJS.ErrnoException;
      throw code === 'GRU_OUTPUT_BUSY' ? busy(path, message) : ioError(path, cause);
    }
  }

  /** Whether other runs are kept out: false on a file system without locks. */
  get guarded(): boolean {
    return this.#lock.guarded;
  }

  /** Lets other runs in. Idempotent. */
  release(): void {
    this.#lock.release();
  }
}

/** Makes a directory and those above it; the first that was made, if any was. */
async function makeDirectory(path: string): Promise<string | undefined> {
  try {
    return await mkdir(path, { recursive: true });
  } catch (cause) {
    // What Node calls ENOENT may be a read-only file system; made alone, the directory gives the true reason.
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') await mkdir(path);
    throw cause;
  }
}

/** Removes the temporary files of a writer that was killed; whoever holds the directory is the only writer. */
export async function removeTemporaries(path: string): Promise<void> {
  for (const name of await readdir(path)) {
    if (isTemporary(name)) await rm(join(path, name), { force: true });
  }
}

function busy(path: string, note: string): GruError {
  const [, pid, host] = /^(\d+) ([\w.-]+)$/.exec(note) ?? [];
  const holder = pid === undefined ? 'another process' : `process ${pid} on ${host}`;
  return new GruError(
    'GRU_OUTPUT_BUSY',
    `expected an output directory that no other run writes to, received ${path}, which ${holder} holds`,
    'Wait until that run has ended, or choose another directory with --out.',
  );
}
