/** The pages that users read: both languages say the same, links lead somewhere, and what is typed there exists. */

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildProgram } from '../src/cli/program.js';

const ROOT = resolve(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const ENGLISH = read('README.md');
const CHINESE = read('README.zh.md');
const READMES = ['README.md', 'README.zh.md'];
const PAGES = [
  ...READMES,
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** Blocks of code, fenced or indented, and what is left of the page. */
function blocksOf(page: string): { blocks: string[]; prose: string } {
  const blocks: string[] = [];
  const prose = page.replace(/^```[\s\S]*?^```$|(?:^ {4}.*\n)+/gm, (block) => {
    blocks.push(block);
    return '';
  });
  return { blocks, prose };
}

/** Spans of code in the text. */
function spansOf(page: string): string[] {
  return [...blocksOf(page).prose.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span.replaceAll('\n', ' '));
}

/** Without comments, which are in the language of the page. */
function uncommented(code: string): string {
  return code.replace(/\s+(#|\/\/) .*$/gm, '');
}

/** Rows of tables, by their figures. */
function figuresOf(page: string): string[][] {
  const rows = page.split('\n').filter((line) => line.startsWith('|'));
  return rows.map((row) => row.match(/\d(?:[\d.,]*\d)?/g) ?? []);
}

function headingsOf(page: string): { level: number; anchor: string }[] {
  return [...blocksOf(page).prose.matchAll(/^(#+) (.*)$/gm)].map(([, marks = '', title = '']) => ({
    level: marks.length,
    anchor: title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\- ]/gu, '')
      .replaceAll(' ', '-'),
  }));
}

function linksOf(page: string): string[] {
  const { prose } = blocksOf(page);
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
}

describe('the two languages', () => {
  test('have the same sections', () => {
    const levels = (page: string) => headingsOf(page).map(({ level }) => level);
    expect(levels(CHINESE)).toEqual(levels(ENGLISH));
    expect(levels(ENGLISH).length).toBeGreaterThan(10);
  });

  test('have the same code, but for its comments', () => {
    const code = (page: string) => blocksOf(page).blocks.map(uncommented);
    expect(code(CHINESE)).toEqual(code(ENGLISH));
    expect(code(ENGLISH).length).toBeGreaterThan(7);
  });

  test('have the same commands and options in their text', () => {
    const commands = (page: string) =>
      [...new Set(spansOf(page).filter((span) => /^(--|gru-native |npx |npm |docker )/.test(span)))].sort();
    expect(commands(CHINESE)).toEqual(commands(ENGLISH));
    expect(commands(ENGLISH).length).toBeGreaterThan(25);
  });

  test('have the same questions', () => {
    const questions = (page: string) => page.match(/^\*\*.+\*\*/gm)?.length;
    expect(questions(CHINESE)).toBe(questions(ENGLISH));
    expect(questions(ENGLISH)).toBeGreaterThan(12);
  });

  test('have the same figures in their tables', () => {
    expect(figuresOf(CHINESE)).toEqual(figuresOf(ENGLISH));
    expect(figuresOf(ENGLISH).flat().length).toBeGreaterThan(100);
  });

  test('link to the same places, and each to the other', () => {
    const places = (page: string) =>
      linksOf(page)
        .filter((link) => !link.startsWith('#') && !READMES.includes(link))
        .sort();
    expect([...new Set(places(CHINESE))]).toEqual([...new Set(places(ENGLISH))]);
    expect(linksOf(ENGLISH)).toContain('README.zh.md');
    expect(linksOf(CHINESE)).toContain('README.md');
  });
});

test.each(PAGES)('links of %s lead somewhere', (path) => {
  for (const link of linksOf(read(path))) {
    if (/^https:/.test(link)) continue;
    const [file = '', anchor] = link.split('#');
    const target = file === '' ? path : join(dirname(path), file);
    expect(existsSync(join(ROOT, target)), `${link} in ${path}`).toBe(true);
    if (anchor === undefined) continue;
    const anchors = headingsOf(read(target)).map((heading) => heading.anchor);
    expect(anchors, `${link} in ${path}`).toContain(decodeURIComponent(anchor));
  }
});

describe('what is typed exists:', () => {
  /** The options that a command's help lists, by the command's name, `corpus check` among them. */
  async function optionsOfCommands(): Promise<Map<string, string[]>> {
    const names = ['train', 'generate', 'eval', 'inspect', 'corpus', 'doctor'];
    const program = await buildProgram(new Set(names));
    const found = new Map<string, string[]>();
    const visit = (command: typeof program, name: string) => {
      found.set(name, command.helpInformation().match(/--[a-z][a-z-]*/g) ?? []);
      for (const below of command.commands) visit(below as typeof program, `${name} ${below.name()}`.trim());
    };
    visit(program, '');
    return found;
  }

  test.each(PAGES)('commands and options of %s', async (path) => {
    const known = await optionsOfCommands();
    const all = [...known.values()].flat();
    const { blocks } = blocksOf(read(path));
    const lines = [...blocks.flatMap((block) => uncommented(block).split('\n')), ...spansOf(read(path))];
    for (const line of lines.map((text) => text.trim())) {
      const [, words] = /^(?:docker .*)?(?:npx (?:-y )?)?gru-native (.+)$/.exec(line) ?? [];
      const typed = (words ?? line).match(/(?<!\S)--[a-z][a-z-]*/g) ?? [];
      if (words === undefined) {
        if (line.startsWith('--')) expect(all, line).toEqual(expect.arrayContaining(typed));
        continue;
      }
      const [first = '', second] = words.split(' ');
      const name = known.has(`${first} ${second}`)
        ? `${first} ${second}`
        : first.startsWith('-')
          ? ''
          : first;
      expect([...known.keys()], line).toContain(name);
      expect(known.get(name), line).toEqual(expect.arrayContaining(typed));
    }
  });

  test.each(READMES)('values of --device, --precision, --unknown, --encoding in %s', async (path) => {
    const program = await buildProgram(new Set(['train', 'generate']));
    const help = program.commands.map((command) => command.helpInformation()).join('\n');
    const values = [
      ...read(path).matchAll(/--(?:device|precision|unknown|encoding|on-divergence) ([a-z][\w-]*)/g),
    ].map(([, value]) => value);
    expect(values.length).toBeGreaterThan(8);
    for (const value of values) expect(help).toMatch(new RegExp(`\\b${value}\\b`));
  });
});

describe('docs/session.svg', () => {
  const recorded = read('docs/session.json');
  const picture = read('docs/session.svg');

  test('is drawn from the recording beside it', () => {
    const drawn = execFileSync(process.execPath, [join(ROOT, 'scripts/draw-session.mjs'), '-'], {
      encoding: 'utf8',
    });
    expect(drawn === picture, 'run node scripts/draw-session.mjs').toBe(true);
  });

  test('is of a whole run on the embedded corpus', () => {
    expect(recorded).toMatch(/corpus songs: 20,000 characters/);
    expect(recorded).toMatch(/epoch 200, perplexity/);
    expect(picture).toContain('>$ npx gru-native train<');
    expect(picture).toContain('>$ npx gru-native generate<');
  });

  test('is small, closed in itself and well formed', () => {
    expect(Buffer.byteLength(picture)).toBeLessThan(150_000);
    expect(Buffer.byteLength(recorded)).toBeLessThan(50_000);
    expect(picture).not.toMatch(/<script|href|url\(|@import/);
    expect(picture).toMatch(/<title[ >][\s\S]*<desc[ >]/);
    const open: string[] = [];
    for (const [, end, name = '', alone] of picture.matchAll(/<(\/?)(\w+)(?:\s[\w:-]+="[^"<&]*")*(\/?)>/g)) {
      if (end) expect(open.pop()).toBe(name);
      else if (!alone) open.push(name);
    }
    expect(open).toEqual([]);
    expect(picture.replace(/<\/?\w+(?:\s[\w:-]+="[^"<&]*")*\/?>|&(?:amp|lt|gt);/g, '')).not.toMatch(/[<&]/);
  });

  test('stands still at the end where nothing may move', () => {
    const [style = ''] = /<style>[\s\S]*<\/style>/.exec(picture) ?? [];
    expect(style).toMatch(/^<style>\ntext\{[^}]*\}\n@media \(prefers-reduced-motion:no-preference\)\{/);
    const last = (name: string) =>
      style.match(new RegExp(`@keyframes ${name}\\{.*translate\\(([^)]*)\\)\\}\\}`))?.[1];
    for (const name of ['scroll', 'row', 'cover', 'cursor', 'strip']) {
      expect(last(name)).toBeDefined();
      expect(picture).toContain(`class="${name}" transform="translate(${last(name)?.replaceAll('px', '')})"`);
    }
  });
});
