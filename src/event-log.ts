/** The event log of a run, `events.ndjson` in its output directory: a subscriber of the event stream. */

import { closeSync, fstatSync, fsync, openSync, truncateSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { ioError } from './atomic-file.js';
import { toNdjson } from './events.js';

/** An append-only NDJSON file. */
export class EventLog {
  readonly #path: string;
  readonly #file: number;
  #bytes: number;

  /**
   * Opens the log and cuts it back to its first `keepBytes`: what was logged after the checkpoint from which
   * a run is resumed happens again.
   *
   * @throws GruError GRU_IO
   */
  constructor(path: string, keepBytes = 0) {
    this.#path = path;
    try {
      this.#file = openSync(path, 'a');
      this.#bytes = Math.min(keepBytes, fstatSync(this.#file).size);
      // By its name: Windows does not cut a file through what was opened to append to it.
      truncateSync(path, this.#bytes);
    } catch (cause) {
      throw ioError(path, cause);
    }
  }

  /** Length in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @throws GruError GRU_IO */
  append(event: object): void {
    const line = Buffer.from(toNdjson(event));
    try {
      for (let written = 0; written < line.length; ) written += writeSync(this.#file, line, written);
    } catch (cause) {
      throw ioError(this.#path, cause);
    }
    this.#bytes += line.length;
  }

  /**
   * Waits until what was appended is on the disk, so that a checkpoint never counts on more of it than is there.
   *
   * @throws GruError GRU_IO
   */
  async sync(): Promise<void> {
    try {
      await promisify(fsync)(this.#file);
    } catch (cause) {
      throw ioError(this.#path, cause);
    }
  }

  close(): void {
    closeSync(this.#file);
  }
}
