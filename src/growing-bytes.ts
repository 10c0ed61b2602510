/** Large blocks of bytes: one that grows as it is written, never above a limit; one that is given back at once. */

import { setImmediate } from 'node:timers/promises';

/** Smaller blocks may share their memory with others, and are not worth it. */
const WORTH_RELEASING = 1 << 20;

/**
 * Gives the memory of some bytes back now, and empties them. V8 collects large blocks late: a text that was decoded
 * would stay beside what was made of it. Sending a block to a port that closes is what frees one.
 *
 * @param bytes - owned by the caller, who uses them no more
 */
export async function release(bytes: Uint8Array): Promise<void> {
  if (bytes.length < WORTH_RELEASING) return;
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(undefined, [bytes.buffer as ArrayBuffer]);
  port1.close();
  port2.close();
  await setImmediate(); // the ports close between two turns of the event loop
}

/** What is left of a block that was made too large is never touched, so it takes up no memory. */
export class GrowingBytes {
  readonly #limit: number;
  readonly #tooLarge: () => Error;
  #block: Buffer;
  #length = 0;

  /**
   * @param expected - bytes to make room for at first
   * @param limit - bytes that may be written in all
   * @param tooLarge - what is thrown when there are more
   */
  constructor(expected: number, limit: number, tooLarge: () => Error) {
    this.#limit = limit;
    this.#tooLarge = tooLarge;
    this.#block = Buffer.allocUnsafeSlow(Math.max(0, Math.min(expected, limit)));
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** Adds bytes. */
  push(bytes: Uint8Array): void {
    this.#makeRoom(bytes.length);
    this.#block.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Adds a text as UTF-8; it must not hold half a surrogate pair. */
  pushText(text: string): void {
    // Three bytes a code unit are enough for any text; beyond them, its own length is asked for.
    const most = 3 * text.length;
    this.#makeRoom(this.#length + most <= this.#block.length ? most : Buffer.byteLength(text));
    this.#length += this.#block.write(text, this.#length);
  }

  /** All that was written, without a copy. */
  taken(): Uint8Array {
    return this.#block.subarray(0, this.#length);
  }

  #makeRoom(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#block.length) return;
    if (needed > this.#limit) throw this.#tooLarge();
    const block = Buffer.allocUnsafeSlow(Math.min(Math.max(needed, 2 * this.#block.length), this.#limit));
    this.#block.copy(block, 0, 0, this.#length);
    this.#block = block;
  }
}
