/**
 * Draws docs/session.svg, the animated picture of the README, from docs/session.json (see record-session.mjs):
 *
 *   node scripts/draw-session.mjs        # or with - to print it
 *
 * The terminal's text stands in the picture once, as it was at the end. What moves is CSS: the text scrolls, a cover that
 * begins at the cursor hides what was not written yet, and a strip of all states of the live line passes behind a slit on
 * the cursor's row. Where nothing may move, the picture is the end of the session.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eastAsianWidth } from 'get-east-asian-width';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Pixels: a cell of the terminal, its letters, what is around them. */
const CELL = 8;
const ROW = 20;
const FONT = 13.33;
const MARGIN = 16;
const BAR = 36;
/** Seconds: the longest command, a letter typed, before and after a command, and the last picture. */
const LONGEST = 9;
const TYPED = 0.04;
const PAUSE = 0.4;
const HELD = 5.5;
const FONTS =
  "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Noto Sans Mono CJK SC','PingFang SC','Microsoft YaHei',monospace";
const COLOURS = { back: '#161b22', border: '#444c56', text: '#d1d7e0', faint: '#9198a1' };
/** Colours of the terminal by the number of their escape code; 39 is the usual one. */
const INKS = /** @type {Record<string, string>} */ ({ 33: '#d29922', 36: '#56d4dd' });
/** An escape code, or a character. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what the terminal receives
const TOKEN = /\x1b\[(?<values>[?\d;]*)(?<code>[A-Za-z])|./gsu;

/** @typedef {{ character: string, width: number, ink: string }} Cell the column behind a wide one is undefined */
/** @typedef {(Cell | undefined)[]} Line */
/** @typedef {{ at: number, row: number, line: Line }} Moment the cursor's row and what is in it */
/** @typedef {{ columns: number, rows: number, commands: { command: string, chunks: [number, string][] }[] }} Recording */

/** Lines of a terminal without an end, and the cursor. Output moves the cursor up nowhere. */
class Terminal {
  /** @type {Line[]} */
  lines = [[]];
  #column = 0;
  #ink = '39';

  /** @param {number} columns */
  constructor(columns) {
    this.columns = columns;
  }

  get line() {
    return /** @type {Line} */ (this.lines.at(-1));
  }

  /** @param {string} text */
  write(text) {
    for (const { 0: token, groups } of text.matchAll(TOKEN)) {
      if (groups?.code !== undefined) this.#obey(groups.code, groups.values ?? '');
      else if (token === '\n') this.#newLine();
      else if (token === '\r') this.#column = 0;
      else this.#print(token);
    }
  }

  /**
   * @param {string} code
   * @param {string} values
   */
  #obey(code, values) {
    if (code === 'm') this.#ink = values in INKS ? values : '39';
    else if (code === 'G') this.#column = Number(values || 1) - 1;
    else if (code === 'K') this.line.length = values === '2' ? 0 : Math.min(this.line.length, this.#column);
    else if (!/^\?25$/.test(values)) {
      throw new Error(
        `expected m, G, K or the cursor's visibility, received the escape code ${values}${code}`,
      );
    }
  }

  #newLine() {
    this.lines.push([]);
    this.#column = 0;
  }

  /** @param {string} character */
  #print(character) {
    const width = eastAsianWidth(/** @type {number} */ (character.codePointAt(0)));
    if (this.#column + width > this.columns) this.#newLine();
    this.line[this.#column] = { character, width, ink: this.#ink };
    this.#column += width;
  }
}

/**
 * The session as moments, each when something was written, and the lines at the end.
 *
 * @param {Recording} recording
 */
function play({ columns, commands }) {
  const terminal = new Terminal(columns);
  /** @type {Moment[]} */
  const moments = [];
  let now = 0;
  const write = (/** @type {string} */ text) => {
    terminal.write(text);
    moments.push({ at: now, row: terminal.lines.length - 1, line: [...terminal.line] });
  };
  let fastest = 1;
  for (const { command, chunks } of commands) {
    write('$ ');
    now += PAUSE;
    for (const letter of command) {
      now += TYPED;
      write(letter);
    }
    now += PAUSE;
    write('\r\n');
    const begun = now;
    const speed = Math.max(1, (chunks.at(-1)?.[0] ?? 0) / LONGEST);
    fastest = Math.max(fastest, speed);
    for (const [seconds, text] of chunks) {
      now = begun + seconds / speed;
      write(text);
    }
    now += PAUSE;
  }
  write('$ ');
  return { moments, lines: terminal.lines, fastest, seconds: now + HELD };
}

/**
 * How many columns of a line are already as they will be, or undefined where it will be wiped.
 *
 * @param {Line} line
 * @param {Line} last
 */
function settled(line, last) {
  const same = line.every((cell, column) => {
    const other = last[column];
    return cell?.character === other?.character && cell?.ink === other?.ink;
  });
  return same ? widthOf(line) : undefined;
}

/** @param {Line} line */
function widthOf(line) {
  return line.reduce((columns, cell) => columns + (cell?.width ?? 0), 0);
}

/**
 * A line as text elements, one for each colour. The columns of wide characters are given one by one, since no font is
 * sure to have them at twice the width of the others.
 *
 * @param {Line} line
 * @param {number} row
 */
function drawn(line, row) {
  const cells = line.flatMap((cell, column) => (cell === undefined ? [] : [{ ...cell, column }]));
  const y = row * ROW + 15;
  return [...new Set(cells.map(({ ink }) => ink))].map((ink) => {
    const inked = cells.filter((cell) => cell.ink === ink);
    const fill = ink in INKS ? ` fill="${INKS[ink]}"` : '';
    const text = inked.map(({ character }) => character).join('');
    if (inked.every(({ width }) => width === 1)) {
      const x = /** @type {number} */ (inked[0]?.column) * CELL;
      return `<text x="${x}" y="${y}" textLength="${text.length * CELL}"${fill}>${escaped(text)}</text>`;
    }
    const x = inked.map(({ column, width }) => column * CELL + (width - 1));
    return `<text x="${x.join(' ')}" y="${y}"${fill}>${escaped(text)}</text>`;
  });
}

/** @param {string} text */
function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/**
 * Places over time as keyframes; one is left out where it is the same as before.
 *
 * @param {string} name
 * @param {{ at: number, place: string }[]} places
 * @param {number} seconds
 */
function keyframes(name, places, seconds) {
  /** @type {Map<string, string>} of several places in one moment the last */
  const stops = new Map([['0', places[0]?.place ?? '']]);
  for (const { at, place } of places) stops.set(String(Number(((100 * at) / seconds).toFixed(2))), place);
  let before = '';
  const changes = [...stops].filter(([, place]) => {
    const changed = place !== before;
    before = place;
    return changed;
  });
  return `@keyframes ${name}{${changes.map(([stop, place]) => `${stop}%{transform:translate(${place})}`).join('')}}`;
}

/**
 * The picture, as the text of an SVG file.
 *
 * @param {Recording} recording
 */
function sessionPicture(recording) {
  const { moments, lines, fastest, seconds } = play(recording);
  const [width, height] = [recording.columns * CELL, recording.rows * ROW];
  const [outerWidth, outerHeight] = [width + 2 * MARGIN, height + BAR + MARGIN];
  /** @type {string[]} */
  const strip = [];
  const states = moments.map(({ at, row, line }) => {
    const columns = settled(line, /** @type {Line} */ (lines[row]));
    if (columns === undefined) strip.push(...drawn(line, strip.length + 1));
    return {
      at,
      scroll: `0,${-ROW * Math.max(0, row + 1 - recording.rows)}px`,
      row: `0,${row * ROW}px`,
      cover: `${(columns ?? 0) * CELL}px,0`,
      cursor: `${widthOf(line) * CELL}px,0`,
      strip: `0,${columns === undefined ? -strip.length * ROW : 0}px`,
    };
  });
  const moving = /** @type {const} */ (['scroll', 'row', 'cover', 'cursor', 'strip']);
  const style = moving.flatMap((name) => [
    `.${name}{animation:${name} ${seconds.toFixed(2)}s step-end infinite}`,
    keyframes(
      name,
      states.map((state) => ({ at: state.at, place: state[name] })),
      seconds,
    ),
  ]);
  /** @param {typeof moving[number]} name */
  const atTheEnd = (name) =>
    `class="${name}" transform="translate(${states.at(-1)?.[name].replaceAll('px', '')})"`;
  const commands = recording.commands.map(({ command }) => command).join(' and then ');
  const bar = BAR / 2 + 4;
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 ${outerWidth} ${outerHeight}" width="${outerWidth}" height="${outerHeight}" role="img" aria-labelledby="title desc" font-family="${FONTS}" font-size="${FONT}" fill="${COLOURS.text}">`,
    `<title id="title">A terminal: ${commands}</title>`,
    '<desc id="desc">A model is trained for 200 epochs. At every twentieth epoch come its perplexity and three samples, which turn from one repeated character into lines of lyrics. Then the model writes lyrics.</desc>',
    '<style>',
    'text{white-space:pre}',
    '@media (prefers-reduced-motion:no-preference){',
    ...style,
    '}',
    '</style>',
    `<rect x=".5" y=".5" width="${outerWidth - 1}" height="${outerHeight - 1}" rx="8" fill="${COLOURS.back}" stroke="${COLOURS.border}"/>`,
    `<path d="M0 ${BAR - 8.5}H${outerWidth}" stroke="${COLOURS.border}"/>`,
    `<text x="${MARGIN}" y="${bar - 4}" fill="${COLOURS.faint}" font-size="12">gru-native</text>`,
    `<text x="${outerWidth - MARGIN}" y="${bar - 4}" text-anchor="end" fill="${COLOURS.faint}" font-size="12">training shown ${Math.round(fastest)} times as fast as it ran</text>`,
    `<svg x="${MARGIN}" y="${BAR}" width="${width}" height="${height}">`,
    `<g ${atTheEnd('scroll')}>`,
    ...lines.flatMap(drawn),
    `<g ${atTheEnd('row')}>`,
    `<g ${atTheEnd('cover')}><path d="M0 0H${width}V${height}H${-width}V${ROW}H0Z" fill="${COLOURS.back}"/></g>`,
    `<rect ${atTheEnd('cursor')} width="${CELL}" height="${ROW - 2}" y="1" fill="${COLOURS.faint}"/>`,
    `<svg width="${width}" height="${ROW}"><g ${atTheEnd('strip')}>`,
    ...strip,
    '</g></svg>',
    '</g>',
    '</g>',
    '</svg>',
    '</svg>',
  ].join('\n')}\n`;
}

const picture = sessionPicture(JSON.parse(readFileSync(join(ROOT, 'docs/session.json'), 'utf8')));
if (process.argv[2] === '-') process.stdout.write(picture);
else writeFileSync(join(ROOT, 'docs/session.svg'), picture);
