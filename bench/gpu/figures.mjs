/** What the chapter's run is to reach on a GPU, and how a run in tf32 or bf16 is judged. */

import { short } from './verdict.mjs';

/** Seconds of the training loop of the chapter's 200 epochs on an H100 or H200, by precision. */
export const LOOP_SECONDS = { fp32: 0.6, tf32: 0.35, bf16: 0.3 };
/** Seconds of the whole process, whatever the precision. */
export const WALL_SECONDS = 1.5;
/**
 * How far the last perplexity may be from that in fp32. Rounded operands move a curve as another seed does, most where
 * it falls fast; at the end, where it is nearly flat, seeds are within this of each other.
 */
export const PRECISIONS_AGREE = 0.05;

/** @typedef {keyof typeof LOOP_SECONDS} Precision */

/**
 * Which of the figures a run reached. Missing one is no failure: it says how fast the GPU is.
 *
 * @param {{ precision: string, loopSeconds: number, wallSeconds: number }} run of all epochs
 */
export function figuresOf({ precision, loopSeconds, wallSeconds }) {
  const loop = LOOP_SECONDS[/** @type {Precision} */ (precision)];
  return {
    precision,
    loop: { seconds: loopSeconds, atMost: loop, reached: loopSeconds <= loop },
    wall: { seconds: wallSeconds, atMost: WALL_SECONDS, reached: wallSeconds <= WALL_SECONDS },
  };
}

/** Figures in words, such as `fp32 loop 0.5 s of 0.6 (reached), wall 2 s of 1.5 (not reached)`. */
export function figuresText(/** @type {readonly ReturnType<typeof figuresOf>[]} */ figures) {
  const words = ({ seconds, atMost, reached }) =>
    `${short(seconds)} s of ${atMost} (${reached ? 'reached' : 'not reached'})`;
  return figures
    .map(({ precision, loop, wall }) => `${precision} loop ${words(loop)}, wall ${words(wall)}`)
    .join('\n');
}

/**
 * What is wrong with the end of a run beside the same run in fp32, as sentences.
 *
 * @param {string} precision
 * @param {readonly number[]} received perplexities
 * @param {readonly number[]} fp32 perplexities
 */
export function precisionProblems(precision, received, fp32) {
  const [last, expected] = [received.at(-1) ?? Number.NaN, fp32.at(-1) ?? Number.NaN];
  if (received.length === fp32.length && Math.abs(last / expected - 1) <= PRECISIONS_AGREE) return [];
  const within = `within ${PRECISIONS_AGREE * 100} %`;
  return [
    `${precision}, epoch ${fp32.length}: expected perplexity ${expected} of fp32 ${within}, received ${last} at epoch ${received.length}`,
  ];
}
