/**
 * One configuration out of several files: `include` is followed, variables are put in, and every setting keeps the place it was written at.
 * A list of an included file (listeners, upstreams) is appended; a section is merged; what two files set is an error at the second.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { TollgateError } from '../base/tollgate-error.ts';
import { type Document, readDocument } from './document.ts';
import { ConfigError, type Finding, type Place, type SettingPath, settingText } from './findings.ts';
import { filesNamed, variableFindings, withVariables } from './variables.ts';
import { shown } from './wording.ts';

const FILES_MAX = 256;
const DEPTH_MAX = 8;
const TEXT_MAX = 16 * 1024 * 1024;
const SECRET_BYTES_MAX = 65_536;

export interface SourceFile {
  /** Absolute. */
  readonly path: string;
  readonly text: string;
}

export interface Assembled extends Document {
  /** As it was written: variables by their names, not by what they hold. */
  readonly written: unknown;
  /** What was read, in order. */
  readonly sources: readonly SourceFile[];
  /** Files of `${file:...}`, absolute. */
  readonly secretFiles: readonly string[];
  /** Where relative paths of the setting at `path` start. */
  readonly directoryOf: (path: SettingPath) => string;
}

export interface Reading {
  /** A configuration file as a document, and the text it is kept as. Throws ConfigError. */
  readonly read: (path: string) => Promise<{ readonly text: string; readonly document: Document }>;
  readonly readSecret: (path: string, bytesMax: number) => Promise<string>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

interface Part {
  readonly file: string;
  readonly directory: string;
  readonly document: Document;
  readonly value: Readonly<Record<string, unknown>>;
  readonly written: Readonly<Record<string, unknown>>;
}

/** Reads `file` and all it includes. Throws what `read` throws for `file` itself; what is wrong with others is in `errors`. */
export async function assemble(file: string, reading: Reading): Promise<Assembled> {
  const assembler = new Assembler(reading);
  await assembler.add(file, [], null);
  return assembler.result();
}

class Assembler {
  readonly #reading: Reading;
  readonly #parts: Part[] = [];
  readonly #errors: Finding[] = [];
  readonly #sources: SourceFile[] = [];
  readonly #secretFiles: string[] = [];
  #textLength = 0;
  #whole: unknown;
  #root: Place = { file: '', line: 0, column: 0 };

  constructor(reading: Reading) {
    this.#reading = reading;
  }

  /** `by`: where the include stands that names the file; null: it is the first. */
  async add(file: string, chain: readonly string[], by: Place | null): Promise<void> {
    const path = resolve(file);
    const blame = (message: string): void => {
      this.#errors.push({ ...(by ?? { file, line: 0, column: 0 }), severity: 'error', setting: 'include', message });
    };
    if (chain.includes(path)) {
      const between = chain.slice(chain.indexOf(path) + 1).map((each) => basename(each));
      blame(`${file} includes itself${between.length === 0 ? '' : `, by way of ${between.join(', ')}`}`);
      return;
    }
    if (chain.length > DEPTH_MAX) {
      blame(`files include each other more than ${DEPTH_MAX} deep`);
      return;
    }
    if (this.#sources.length >= FILES_MAX) {
      blame(`more than ${FILES_MAX} files`);
      return;
    }
    let read: Awaited<ReturnType<Reading['read']>>;
    try {
      read = await this.#reading.read(file);
    } catch (error) {
      if (by === null || !(error instanceof ConfigError)) throw error;
      // One that has no line is about the file as a whole: its place is where it is included.
      for (const finding of error.findings) {
        if (finding.line === 0) blame(finding.message);
        else this.#errors.push(finding);
      }
      return;
    }
    const { document, text } = read;
    this.#textLength += text.length;
    if (this.#textLength > TEXT_MAX) {
      blame(`the files are more than ${TEXT_MAX / 1_048_576} MiB together`);
      return;
    }
    this.#sources.push({ path, text });
    this.#errors.push(...document.errors);
    if (by === null) {
      this.#whole = document.value;
      this.#root = document.where([]);
    }
    if (document.value === undefined || document.value === null) return;
    const directory = dirname(path);
    const written = document.value;
    const { value, problems } = withVariables(written, { env: this.#reading.env, files: await this.#secrets(written, directory) });
    this.#errors.push(...variableFindings(problems, document.where));
    if (!isMapping(value) || !isMapping(written)) {
      if (by !== null) blame(`${file} holds no mapping of settings`);
      return;
    }
    this.#parts.push({ file, directory, document, value, written });
    for (const [pattern, at] of this.#patterns(value.include, document)) {
      for (const included of await this.#matching(pattern, directory, at)) {
        // Named as a person would find it from where the first file was named.
        const named = isAbsolute(pattern) ? included : join(dirname(file), relative(directory, included));
        await this.add(named, [...chain, path], at);
      }
    }
  }

  #patterns(include: unknown, document: Document): [string, Place][] {
    if (include === undefined) return [];
    const list = Array.isArray(include) ? include : [include];
    return list.flatMap((each, i): [string, Place][] => {
      const at = document.where(Array.isArray(include) ? ['include', i] : ['include']);
      if (typeof each === 'string' && each !== '' && !each.includes('\0')) return [[each, at]];
      this.#errors.push({
        ...at,
        severity: 'error',
        setting: 'include',
        message: `found ${shown(each)}, expected a file, or files as 'sites/*.yaml'`,
      });
      return [];
    });
  }

  /** Absolute paths in order of their names. Wildcards stand in the last part alone. */
  async #matching(pattern: string, directory: string, at: Place): Promise<readonly string[]> {
    const path = resolve(directory, pattern);
    const name = basename(path);
    if (!/[*?]/.test(path)) return [path];
    const blame = (message: string): readonly string[] => {
      this.#errors.push({ ...at, severity: 'error', setting: 'include', message });
      return [];
    };
    if (/[*?]/.test(dirname(path))) return blame(`found ${shown(pattern)}: '*' and '?' stand in the last part of a path alone`);
    const form = new RegExp(
      `^${name
        .replace(/[.+^${}()|[\]\\]/g, '\\$&')
        .replace(/\*+/g, '.*')
        .replace(/\?/g, '.')}$`,
    );
    try {
      const names = await readdir(dirname(path));
      return names
        .filter((each) => form.test(each) && !(each.startsWith('.') && !name.startsWith('.')))
        .sort()
        .map((each) => join(dirname(path), each));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const why = code === 'ENOENT' ? 'it does not exist' : code === 'EACCES' ? 'this user may not' : String(code);
      return blame(`the directory ${dirname(path)} cannot be read: ${why}`);
    }
  }

  async #secrets(
    value: unknown,
    directory: string,
  ): Promise<ReadonlyMap<string, { readonly text: string } | { readonly problem: string }>> {
    const files = new Map<string, { readonly text: string } | { readonly problem: string }>();
    for (const name of filesNamed(value)) {
      const path = resolve(directory, name);
      this.#secretFiles.push(path);
      try {
        files.set(name, { text: (await this.#reading.readSecret(path, SECRET_BYTES_MAX)).replace(/\r?\n$/, '') });
      } catch (error) {
        if (!(error instanceof TollgateError)) throw error;
        files.set(name, { problem: error.message });
      }
    }
    return files;
  }

  result(): Assembled {
    const [first] = this.#parts;
    const nowhere = { sources: this.#sources, secretFiles: this.#secretFiles };
    if (first === undefined) {
      const place = (): Place => this.#root;
      return {
        value: this.#whole,
        written: this.#whole,
        errors: this.#errors,
        where: place,
        whereKey: place,
        directoryOf: () => '',
        ...nowhere,
      };
    }
    const merger = new Merger(this.#errors);
    for (const part of this.#parts) merger.add(part);
    const at = (path: SettingPath): { readonly part: Part; readonly path: SettingPath } => merger.origin(path) ?? { part: first, path };
    const where = (path: SettingPath): Place => at(path).part.document.where(at(path).path);
    return {
      value: merger.value,
      written: merger.written,
      errors: this.#errors,
      where,
      whereKey: (path) => at(path).part.document.whereKey(at(path).path),
      directoryOf: (path) => at(path).part.directory,
      ...nowhere,
    };
  }
}

/** Puts parts together, and remembers where each setting came from. */
class Merger {
  readonly value: Record<string, unknown> = Object.create(null);
  readonly written: Record<string, unknown> = Object.create(null);
  readonly #errors: Finding[];
  /** By the path's first two members, and by its first. */
  readonly #origins = new Map<string, { readonly part: Part; readonly path: SettingPath }>();

  constructor(errors: Finding[]) {
    this.#errors = errors;
  }

  add(part: Part): void {
    for (const [key, value] of Object.entries(part.value)) {
      if (key === 'include') continue;
      const origin = { part, path: [key] };
      const before = this.value[key];
      const written = part.written[key];
      if (Array.isArray(value) && (before === undefined || Array.isArray(before))) {
        const [list, asWritten] = [(before ?? []) as unknown[], (this.written[key] ?? []) as unknown[]];
        value.forEach((item, i) => {
          this.#origins.set(originKey([key, list.length]), { part, path: [key, i] });
          list.push(item);
          asWritten.push((written as unknown[])[i]);
        });
        this.value[key] = list;
        this.written[key] = asWritten;
      } else if (isMapping(value) && (before === undefined || isMapping(before))) {
        this.#section(key, value, written as Record<string, unknown>, part);
      } else if (before === undefined) {
        this.value[key] = value;
        this.written[key] = written;
      } else this.#twice(part, [key]);
      if (!this.#origins.has(originKey([key]))) this.#origins.set(originKey([key]), origin);
    }
  }

  #section(key: string, section: Readonly<Record<string, unknown>>, written: Readonly<Record<string, unknown>>, part: Part): void {
    this.value[key] ??= Object.create(null);
    this.written[key] ??= Object.create(null);
    const [into, asWritten] = [this.value[key] as Record<string, unknown>, this.written[key] as Record<string, unknown>];
    for (const [name, value] of Object.entries(section)) {
      if (Object.hasOwn(into, name)) {
        this.#twice(part, [key, name]);
        continue;
      }
      into[name] = value;
      asWritten[name] = written[name];
      this.#origins.set(originKey([key, name]), { part, path: [key, name] });
    }
  }

  #twice(part: Part, path: SettingPath): void {
    const first = this.origin(path);
    const place = first?.part.document.whereKey(first.path);
    const already = place === undefined ? '' : `; ${place.file}:${place.line} sets it already`;
    this.#errors.push({
      ...part.document.whereKey(path),
      severity: 'error',
      setting: settingText(path),
      message: `${shown(String(path.at(-1)))} is set twice${already}`,
    });
  }

  origin(path: SettingPath): { readonly part: Part; readonly path: SettingPath } | undefined {
    const two = path.length < 2 ? undefined : this.#origins.get(originKey(path.slice(0, 2)));
    if (two !== undefined) return { part: two.part, path: [...two.path, ...path.slice(2)] };
    const one = this.#origins.get(originKey(path.slice(0, 1)));
    return one === undefined ? undefined : { part: one.part, path };
  }
}

function originKey(path: SettingPath): string {
  return path.map((part) => `${typeof part === 'number' ? '#' : '.'}${part}`).join('\0');
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A text without includes and with the variables of `env`, as `assemble` makes of files. */
export async function assembleText(text: string, file: string, env: Reading['env']): Promise<Assembled> {
  const read = async (path: string): Promise<{ text: string; document: Document }> => {
    if (path !== file) throw new TollgateError('file_unreadable', `${path} cannot be read here`);
    return { text, document: readDocument(text, file) };
  };
  const readSecret = async (path: string): Promise<string> => {
    throw new TollgateError('file_unreadable', `${path} cannot be read here`);
  };
  return await assemble(file, { read, readSecret, env });
}
