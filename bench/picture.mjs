/**
 * Draws docs/chapter.svg from bench/results/chapter-cpu.json: the perplexity of every run over its epochs, on
 * a logarithmic axis, with the book chapter's printed values as dots. Run after npm run bench:chapter:
 *
 *   node bench/picture.mjs
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './machine.mjs';

const WIDTH = 800;
const HEIGHT = 420;
const LEFT = 64;
const RIGHT = 24;
const TOP = 48;
const BOTTOM = 48;
const COLOURS = { adjacent: '#2563eb', random: '#d97706' };
const TICKS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/** @typedef {{ sampling: 'adjacent' | 'random', perplexity: number[] }} Run */

const { runs, expected } = JSON.parse(readFileSync(join(ROOT, 'bench/results/chapter-cpu.json'), 'utf8'));
const epochs = Math.max(...runs.map((/** @type {Run} */ run) => run.perplexity.length));
const highest = 1000;

/** @param {number} epoch */
function x(epoch) {
  return LEFT + (epoch / epochs) * (WIDTH - LEFT - RIGHT);
}

/** @param {number} perplexity */
function y(perplexity) {
  return HEIGHT - BOTTOM - (Math.log(perplexity) / Math.log(highest)) * (HEIGHT - TOP - BOTTOM);
}

/** @param {Run} run */
function curve({ sampling, perplexity }) {
  const points = perplexity.map((value, index) => `${x(index + 1).toFixed(1)},${y(value).toFixed(1)}`);
  const style = `fill="none" stroke="${COLOURS[sampling]}" stroke-width="1.6" stroke-opacity="0.75"`;
  return `<polyline ${style} points="${points.join(' ')}"/>`;
}

/**
 * @param {number} atX
 * @param {number} atY
 * @param {string} words
 * @param {string} style
 */
function text(atX, atY, words, style = '') {
  return `<text x="${atX}" y="${atY}" ${style}>${words}</text>`;
}

const grid = TICKS.map(
  (tick) =>
    `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(tick)}" y2="${y(tick)}" stroke="#e5e7eb"/>` +
    text(LEFT - 8, y(tick) + 4, String(tick), 'text-anchor="end"'),
);
const marks = [0, 50, 100, 150, 200]
  .filter((epoch) => epoch <= epochs)
  .map((epoch) => text(x(epoch), HEIGHT - BOTTOM + 20, String(epoch), 'text-anchor="middle"'));
const dots = expected.epochs.map(
  (/** @type {number} */ epoch, /** @type {number} */ index) =>
    `<circle cx="${x(epoch)}" cy="${y(expected.chapter[index])}" r="4" fill="#111827"/>`,
);
const legend = [
  `<circle cx="${WIDTH - 268}" cy="${TOP + 16}" r="4" fill="#111827"/>`,
  text(WIDTH - 256, TOP + 20, "the chapter's printed values"),
  `<rect x="${WIDTH - 274}" y="${TOP + 36}" width="12" height="3" fill="${COLOURS.adjacent}"/>`,
  text(WIDTH - 256, TOP + 42, 'gru-native, adjacent sampling, 3 seeds'),
  `<rect x="${WIDTH - 274}" y="${TOP + 58}" width="12" height="3" fill="${COLOURS.random}"/>`,
  text(WIDTH - 256, TOP + 64, 'gru-native, random sampling, 3 seeds'),
];
const svg = [
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" fill="#374151">`,
  '<title>Training perplexity by epoch</title>',
  `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
  text(LEFT, 28, 'Training perplexity by epoch, logarithmic', 'font-size="15" fill="#111827"'),
  ...grid,
  ...marks,
  text(WIDTH - RIGHT, HEIGHT - 10, 'epoch', 'text-anchor="end"'),
  ...runs.map(curve),
  ...dots,
  ...legend,
  '</svg>',
];
mkdirSync(join(ROOT, 'docs'), { recursive: true });
writeFileSync(join(ROOT, 'docs/chapter.svg'), `${svg.join('\n')}\n`);
