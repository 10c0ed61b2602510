/** Writing a file so that, whatever happens, either the old or the new one is there whole. */

import { randomBytes } from 'node:crypto';
import { fsync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { GruError } from './errors.js';

/** What follows the name of the file that a temporary one is for. */
const TEMPORARY = /\.[0-9a-f]{12}\.tmp$/;

/** Whether a file name is that of a temporary file, which only a writer that was killed leaves behind. */
export function isTemporary(name: string): boolean {
  return TEMPORARY.test(name);
}

/**
 * Has a temporary file written in the same directory, flushes it to the disk, renames it over `path`, and
 * flushes the directory.
 *
 * @param write - makes the file of the name it gets, where nothing is yet
 * @throws GruError GRU_IO, or what `write` threw when that has a code of ours; `path` is then as it was
 */
export async function writeAtomically(
  path: string,
  write: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await write(temporary);
    const file = await open(temporary, 'r+');
    try {
      await flush(file);
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {});
    throw (cause as NodeJS.ErrnoException).code?.startsWith('GRU_') ? cause : ioError(path, cause);
  }
}

/** A failed write as an error that says which file and why. */
export function ioError(path: string, cause: unknown): GruError {
  const code = (cause as NodeJS.ErrnoException).code;
  const remedy: Record<string, string> = {
    ENOSPC: 'The disk is full: free some room, then go on with --resume.',
    EDQUOT: 'The disk quota is used up: free some room, then go on with --resume.',
    EACCES: 'You may not write there: choose another directory with --out.',
    EPERM: 'You may not write there: choose another directory with --out.',
    ENOENT: 'The directory was removed: restore it, or choose another one with --out.',
    EROFS: 'That file system is read-only: choose another directory with --out.',
  };
  return new GruError(
    'GRU_IO',
    `expected to write ${path}, received ${(cause as Error).message}`,
    remedy[code ?? ''] ?? 'Check the path, or choose another directory with --out.',
    { cause },
  );
}

/** Flushes a directory, so that a rename in it survives a power cut; where a system cannot, it does nothing. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r').catch(() => undefined);
  if (directory === undefined) return;
  await flush(directory).catch(() => {});
  await directory.close();
}

/** Waits until a file is on the disk. By its number: the file handles of Yarn's Plug'n'Play cannot sync. */
export async function flush(file: FileHandle): Promise<void> {
  await promisify(fsync)(file.fd);
}
