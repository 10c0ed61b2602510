/**
 * The modules that the documentation shows: examples of doc comments and blocks of Markdown. They are written into a
 * folder that has the package installed, as a user's does, type-checked and emitted in one run of the compiler.
 */

import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..');

/** A module of TypeScript that stands in a file. */
export interface CodeBlock {
  /** Where it stands, such as `src/train.ts:230`. */
  place: string;
  code: string;
  /** Whether it is only type-checked, because it takes too long to run. */
  typesOnly: boolean;
  /** Lines that it must print, in this order. */
  prints: string[];
}

/** The examples of a file's doc comments. What is printed stands behind the line that prints it. */
export function examplesOf(file: string): CodeBlock[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const blocks = text.matchAll(/^ *\* @example\n((?: *\*.*\n)+?) *\*(?:\/| ```\n)/gm);
  return [...blocks].map((match) => {
    const lines = (match[1] as string).split('\n').map((line) => line.replace(/^ *\* ?/, ''));
    if (lines.shift() !== '```ts') throw new Error(`${file}: expected \`\`\`ts after @example`);
    const code = lines.join('\n');
    const prints = [...code.matchAll(/console\.log\(.*\)[;,] \/\/ (.+)$/gm)].map(
      ([, printed]) => printed as string,
    );
    return { place: placeOf(file, text, match.index), code, typesOnly: false, prints };
  });
}

/** The blocks of a Markdown file that are fenced as `ts`; `<!-- typecheck -->` before one says that it is not run. */
export function blocksOf(file: string): CodeBlock[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [...text.matchAll(/(<!-- typecheck -->\s*\n)?^```ts\n(.*?)^```$/gms)].map((match) => ({
    place: placeOf(file, text, match.index),
    code: match[2] as string,
    typesOnly: match[1] !== undefined,
    prints: [],
  }));
}

function placeOf(file: string, text: string, index: number): string {
  return `${file}:${text.slice(0, index).split('\n').length}`;
}

/** A folder with the package in node_modules. */
export function userFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gru-native-examples-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(ROOT, join(folder, 'node_modules/gru-native'), 'junction');
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  return folder;
}

/** What a user who wants strict types has. */
const COMPILER_OPTIONS = {
  target: 'es2023',
  lib: ['es2023', 'esnext.disposable'],
  module: 'nodenext',
  strict: true,
  exactOptionalPropertyTypes: true,
  types: ['node'],
  typeRoots: [join(ROOT, 'node_modules/@types')],
  allowJs: true,
  checkJs: true,
  rootDir: 'modules',
  outDir: 'out',
};

/** Name of the JavaScript of a block in the folder that it was compiled in. */
export function moduleName({ place }: CodeBlock): string {
  return place.replaceAll(/[^\w]+/g, '-');
}

/**
 * Compiles blocks and programs in a folder into its `out/`. Returns what the compiler says, nothing where all is well.
 *
 * @param programs - JavaScript files of the project, type-checked too
 */
export function compile(folder: string, blocks: readonly CodeBlock[], programs: readonly string[]): string {
  const modules = join(folder, 'modules');
  mkdirSync(modules);
  for (const block of blocks) writeFileSync(join(modules, `${moduleName(block)}.ts`), block.code);
  for (const program of programs) copyFileSync(join(ROOT, program), join(modules, basename(program)));
  const config = { compilerOptions: COMPILER_OPTIONS, include: ['modules'] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  try {
    execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '--pretty', 'false'], {
      cwd: folder,
    });
    return '';
  } catch (error) {
    return String((error as { stdout?: unknown }).stdout ?? error);
  }
}

/** Files of a folder of the project whose names end so. */
export function filesOf(folder: string, ending: string): string[] {
  return readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith(ending))
    .map((name) => (folder === '.' ? name : `${folder}/${name}`))
    .sort();
}
