/**
 * One YAML text as plain values, with the place of every setting. Knows YAML; knows nothing of what the settings mean,
 * nor where the text came from. Bounded: a text that unfolds through aliases, or nests without end, is an error.
 *
 * Mappings become objects without a prototype, so that no key of a file is more than a key.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLError } from 'yaml';
import type { Finding, Place, SettingPath } from './findings.ts';
import { settingText } from './findings.ts';
import { shown } from './wording.ts';

/** Values that one file may hold, those behind aliases counted each time they are used. */
const VALUES_MAX = 200_000;
/** Depth of mappings and lists within each other. The schema needs eight. */
const DEPTH_MAX = 64;
/** Errors of the text itself that are reported at once; after a few, one follows from the other. */
const SYNTAX_ERRORS_MAX = 10;

export interface Document {
  /** Undefined when there is nothing in the file, or when `errors` says why it could not be read. */
  readonly value: unknown;
  readonly errors: readonly Finding[];
  /** Place of the setting at `path`, or of the nearest one around it. */
  readonly where: (path: SettingPath) => Place;
  /** Place of the key itself: what a misspelt name is blamed on. */
  readonly whereKey: (path: SettingPath) => Place;
}

/** Reads `text`, blaming `file` for what is wrong with it. Does not throw. */
export function readDocument(text: string, file: string): Document {
  const lines = new LineCounter();
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col };
  };
  const root: Place = { file, line: 1, column: 1 };
  const reader = new Reader(place);
  let value: unknown;
  try {
    // Keys are compared in Reader: the library compares every pair of them, which takes for ever in a large file.
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
      resolveKnownTags: false,
      logLevel: 'error',
    });
    const overflow = document.errors.find((error) => /call stack size|stack overflow/i.test(error.message));
    if (overflow !== undefined) throw new RangeError('the text nests too deep for the library', { cause: overflow });
    for (const error of [...document.errors, ...document.warnings].slice(0, SYNTAX_ERRORS_MAX)) {
      reader.errors.push({ ...place(error.pos[0]), severity: 'error', setting: '', message: syntaxMessage(error, text) });
    }
    if (document.errors.length === 0 && document.contents !== null) value = reader.read(document.contents, []);
  } catch (error) {
    // The library recurses; so deep a nest can only be an attack or an accident.
    if (!(error instanceof RangeError)) throw error;
    reader.errors.push({ ...root, severity: 'error', setting: '', message: `nested more than ${DEPTH_MAX} deep` });
  }
  const find = (places: ReadonlyMap<string, number>, path: SettingPath): Place | undefined => {
    const offset = places.get(pathKey(path));
    return offset === undefined ? undefined : place(offset);
  };
  const where = (path: SettingPath): Place => {
    for (let length = path.length; length > 0; length--) {
      const found = find(reader.values, path.slice(0, length));
      if (found !== undefined) return found;
    }
    return root;
  };
  return { value, errors: reader.errors, where, whereKey: (path) => find(reader.keys, path) ?? where(path) };
}

class Reader {
  readonly errors: Finding[] = [];
  readonly values = new Map<string, number>();
  readonly keys = new Map<string, number>();
  readonly #anchors = new Map<string, Node>();
  /** Anchored nodes that are being read: an alias to one of them would never end. */
  readonly #open = new Set<Node>();
  readonly #place: (offset: number) => Place;
  #count = 0;

  constructor(place: (offset: number) => Place) {
    this.#place = place;
  }

  read(node: Node | null, path: SettingPath): unknown {
    if (node === null) return null;
    const offset = node.range?.[0] ?? 0;
    this.values.set(pathKey(path), offset);
    this.#count++;
    if (this.#count === VALUES_MAX + 1) this.#error(offset, path, `more than ${VALUES_MAX} values, aliases unfolded`);
    if (this.#count > VALUES_MAX) return undefined;
    if (path.length > DEPTH_MAX) {
      this.#error(offset, path, `nested more than ${DEPTH_MAX} deep`);
      return undefined;
    }
    if (isAlias(node)) return this.#alias(node.source, offset, path);
    if ('anchor' in node && typeof node.anchor === 'string') this.#anchors.set(node.anchor, node);
    if (isScalar(node)) return typeof node.value === 'bigint' ? Number(node.value) : node.value;
    this.#open.add(node);
    let value: unknown;
    if (isSeq(node)) value = node.items.map((item, index) => this.read(item as Node | null, [...path, index]));
    else if (isMap(node)) value = this.#mapping(node.items as readonly { key: unknown; value: unknown }[], path);
    this.#open.delete(node);
    return value;
  }

  #alias(name: string, offset: number, path: SettingPath): unknown {
    const target = this.#anchors.get(name);
    if (target === undefined) {
      this.#error(
        offset,
        path,
        `there is no anchor '&${name}' before the alias '*${name}'; a value that begins with '*' is written in quotes`,
      );
      return undefined;
    }
    if (this.#open.has(target)) {
      this.#error(offset, path, `the alias '*${name}' stands inside what it refers to`);
      return undefined;
    }
    const value = this.read(target, path);
    this.values.set(pathKey(path), offset);
    return value;
  }

  #mapping(pairs: readonly { key: unknown; value: unknown }[], path: SettingPath): unknown {
    const mapping: Record<string, unknown> = Object.create(null);
    for (const { key, value } of pairs) {
      if (!isScalar(key) || (typeof key.value === 'object' && key.value !== null)) {
        this.#error((key as Node | null)?.range?.[0] ?? 0, path, 'the name of a setting must be plain text');
        continue;
      }
      const name = String(key.value);
      const offset = key.range?.[0] ?? 0;
      const at = [...path, name];
      const before = this.keys.get(pathKey(at));
      if (Object.hasOwn(mapping, name)) {
        const line = before === undefined ? '' : `; it stands on line ${this.#place(before).line} already`;
        this.#error(offset, at, `${shown(name)} is set twice${line}`);
        continue;
      }
      this.keys.set(pathKey(at), offset);
      mapping[name] = this.read(value as Node | null, at);
      if (value === null) this.values.set(pathKey(at), offset);
    }
    return mapping;
  }

  #error(offset: number, path: SettingPath, message: string): void {
    this.errors.push({ ...this.#place(offset), severity: 'error', setting: settingText(path), message });
  }
}

function pathKey(path: SettingPath): string {
  return path.map((part) => (typeof part === 'number' ? `#${part}` : `.${part}`)).join('\0');
}

/** What the library says, without the source it may quote, and with the advice that two common slips need. */
function syntaxMessage(error: YAMLError, text: string): string {
  if (error.code === 'MULTIPLE_DOCS') return "a second document begins here ('---'); one file is one configuration";
  const said = error.message.split('\n', 1)[0]!.slice(0, 200).trim();
  const lineStart = text.lastIndexOf('\n', Math.max(0, error.pos[0] - 1)) + 1;
  const lineEnd = text.indexOf('\n', error.pos[0]);
  const line = text.slice(lineStart, lineEnd < 0 ? undefined : lineEnd).slice(0, 1_000);
  if (/:\s*\[[0-9a-fA-F:.]*\]:\d/.test(line)) return `${said} (an IPv6 address is written in quotes: "[::]:443")`;
  if (line.includes('\t')) return `${said} (YAML is indented with spaces, not tabs)`;
  return said;
}
