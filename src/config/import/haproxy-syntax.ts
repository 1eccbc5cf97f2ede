/**
 * The language of HAProxy's files: lines of words under sections. Knows quoting, escapes, comments and variables as its section 2.2 has them;
 * knows no keyword. Bounded; throws a sentence with the place.
 */
import { TollgateError } from '../../base/tollgate-error.ts';
import type { Notes, Origin } from './notes.ts';

const LINES_MAX = 200_000;
const WORDS_MAX = 2_000;
const SECTIONS_MAX = 5_000;
/** Sections that begin with these words; the others have a name of their own behind the word. */
const SECTION_WORDS = [
  ...[
    'global',
    'defaults',
    'frontend',
    'backend',
    'listen',
    'userlist',
    'peers',
    'resolvers',
    'mailers',
    'cache',
    'program',
    'ring',
    'log-forward',
  ],
  ...['http-errors', 'fcgi-app', 'crt-store', 'traces', 'log-profile', 'acme'],
];

export interface Line extends Origin {
  readonly words: readonly string[];
}

export interface Section extends Line {
  /** `frontend`. */
  readonly kind: string;
  /** '' when it has none. */
  readonly name: string;
  readonly lines: readonly Line[];
}

type Env = Readonly<Record<string, string | undefined>>;

/** Reads `text`, naming `file` in errors. Variables are put in from `env`, as HAProxy does when it reads. Throws TollgateError `import_unreadable`. */
export function parseHaproxy(text: string, file: string, env: Env, notes: Notes): readonly Section[] {
  const sections: (Section & { readonly lines: Line[] })[] = [];
  const physical = text.split('\n');
  if (physical.length > LINES_MAX) throw new TollgateError('import_unreadable', `${file}: more than ${LINES_MAX} lines`);
  let skipped = 0;
  for (const [index, written] of physical.entries()) {
    const at: Origin = { file, line: index + 1, text: written.trim().slice(0, 1_000) };
    const words = readWords(written, at, env, notes);
    const [first] = words;
    if (first === undefined) continue;
    // What stands between .if and .endif depends on where it is read.
    if (first === '.if') {
      notes.add('untranslated', at, 'conditions on the version and the like are not evaluated: what stands up to its .endif is left out');
      skipped++;
    } else if (first === '.endif') skipped = Math.max(0, skipped - 1);
    if (skipped > 0 || first.startsWith('.')) continue;
    if (SECTION_WORDS.includes(first)) {
      if (sections.length >= SECTIONS_MAX)
        throw new TollgateError('import_unreadable', `${file}:${at.line}: more than ${SECTIONS_MAX} sections`);
      sections.push({ ...at, text: words.join(' ').slice(0, 1_000), words, kind: first, name: words[1] ?? '', lines: [] });
      continue;
    }
    const section = sections.at(-1);
    if (section === undefined) {
      throw new TollgateError(
        'import_unreadable',
        `${file}:${at.line}: a setting stands before the first section (global, defaults, frontend, backend, listen)`,
      );
    }
    section.lines.push({ ...at, text: words.join(' ').slice(0, 1_000), words });
  }
  return sections;
}

function readWords(text: string, at: Origin, env: Env, notes: Notes): string[] {
  const words: string[] = [];
  let word: string | null = null;
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (quote === "'") {
      if (character === "'") quote = '';
      else word += character;
    } else if (character === '\\') {
      const [given, length] = escaped(text, i);
      word = (word ?? '') + given;
      i += length;
    } else if (quote === '"' && character === '$') {
      const [, braced, bare] = /^\$(?:\{(\w+)(?:\[\*\])?\}|(\w+))/.exec(text.slice(i, i + 200)) ?? [];
      const name = braced ?? bare;
      if (name === undefined) {
        word += character;
        continue;
      }
      const value = env[name];
      if (value === undefined)
        notes.add('differs', at, `the variable ${name} is not set here, and was taken as nothing`, 'import where it is set');
      word += (value ?? '').replaceAll(/\p{Cc}/gu, ' ');
      i += braced === undefined ? name.length : text.indexOf('}', i) - i;
    } else if (character === '"' || (character === "'" && quote === '')) {
      quote = quote === character ? '' : character;
      word ??= '';
    } else if (quote === '' && character === '#') break;
    else if (quote === '' && /\s/.test(character)) {
      if (word !== null) words.push(word);
      word = null;
    } else word = (word ?? '') + character;
  }
  if (quote !== '') throw new TollgateError('import_unreadable', `${at.file}:${at.line}: the text that begins with ${quote} has no end`);
  if (word !== null) words.push(word);
  if (words.length > WORDS_MAX)
    throw new TollgateError('import_unreadable', `${at.file}:${at.line}: more than ${WORDS_MAX} words in one line`);
  return words;
}

/** What the backslash at `at` and what follows stand for, and how many characters follow. */
function escaped(text: string, at: number): readonly [string, number] {
  const next = text[at + 1];
  if (next === undefined) return ['', 0];
  const hex = next === 'x' ? /^[0-9a-fA-F]{2}/.exec(text.slice(at + 2, at + 4)) : null;
  if (hex !== null) return [String.fromCharCode(Number.parseInt(hex[0], 16)), 3];
  if (next === 'n') return ['\n', 1];
  if (next === 't') return ['\t', 1];
  if (next === 'r') return ['\r', 1];
  // Of a regular expression, unless it keeps a special character from being one.
  return /[ #"'\\$]/.test(next) ? [next, 1] : [`\\${next}`, 1];
}
