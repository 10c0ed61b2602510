/** One line on a terminal's stderr that is drawn over again and again. */

import { styleText } from 'node:util';

/** It is drawn at most this often, in milliseconds. */
const REDRAW_INTERVAL = 80;

/** A live line; where stderr is no terminal, in CI, or when it was not wanted, nothing is ever drawn. */
export class LiveLine {
  readonly #wanted: boolean;
  #shown = false;
  #drawnAt = Number.NEGATIVE_INFINITY;

  constructor(wanted = true) {
    this.#wanted = wanted && process.stderr.isTTY === true && !process.env.CI && process.env.TERM !== 'dumb';
  }

  /** Whether it is time to draw it again. */
  get due(): boolean {
    return this.#wanted && performance.now() - this.#drawnAt >= REDRAW_INTERVAL;
  }

  /** Draws the parts, cut to the width of the terminal. */
  draw(parts: readonly string[]): void {
    this.#drawnAt = performance.now();
    const line = parts.join(' · ').slice(0, (process.stderr.columns ?? 80) - 1);
    process.stderr.write(`\r\x1b[2K${styleText('cyan', line, { stream: process.stderr })}`);
    this.#shown = true;
  }

  /** Wipes it, before something else is printed. */
  wipe(): void {
    if (this.#shown) process.stderr.write('\r\x1b[2K');
    this.#shown = false;
  }
}

/** Seconds as people say them. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`;
}

/** A count with its thousands apart. */
export function grouped(count: number): string {
  return count.toLocaleString('en-US');
}

/** A count and what is counted, a regular noun. */
export function plural(count: number, noun: string): string {
  return `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`;
}
