/** The machine's own speed limit, by crates/gru-core/examples/sgemm_peak.rs. */

import { spawnSync } from 'node:child_process';
import { ROOT } from './machine.mjs';
import { median } from './statistics.mjs';

const EXAMPLE = ['--release', '--locked', '--quiet', '-p', 'gru-core', '--example', 'sgemm_peak'];

/**
 * @typedef {object} Peak in GFLOP/s, all threads together
 * @property {number} sgemm square products by the gemm crate
 * @property {number | null} fma multiply-adds on registers alone; null where it cannot be measured
 */

/** Measures the peak again and again in the course of a run, since machines differ from minute to minute. */
export class PeakMeter {
  #threads;
  /** Why there is no peak; undefined while there is. @type {string | undefined} */
  missing;

  /**
   * Builds the program, which takes a minute the first time.
   *
   * @param {number} threads
   */
  constructor(threads) {
    this.#threads = threads;
    this.#cargo('build');
  }

  /**
   * Measures once: about a second.
   *
   * @returns {Peak | undefined} undefined when there is no peak
   */
  measure() {
    const stdout = this.#cargo('run', '--', String(this.#threads));
    return stdout === undefined ? undefined : JSON.parse(stdout);
  }

  /** @param {'build' | 'run'} command @param {string[]} args */
  #cargo(command, ...args) {
    if (this.missing !== undefined) return undefined;
    const result = spawnSync('cargo', [command, ...EXAMPLE, ...args], { cwd: ROOT, encoding: 'utf8' });
    if (result.status === 0) return result.stdout;
    this.missing =
      result.error === undefined
        ? `cargo ${command} failed: ${result.stderr.trim().split('\n')[0]}`
        : `cargo cannot be started: ${result.error.message}`;
    return undefined;
  }
}

/**
 * The median of several measurements.
 *
 * @param {readonly (Peak | undefined)[]} measured
 * @returns {Peak | null} null when there are none
 */
export function medianPeak(measured) {
  const peaks = measured.filter((peak) => peak !== undefined);
  if (peaks.length === 0) return null;
  const fma = peaks.map((peak) => peak.fma).filter((value) => value !== null);
  return { sgemm: median(peaks.map((peak) => peak.sgemm)), fma: fma.length === 0 ? null : median(fma) };
}
