/**
 * nginx's files as one tree: `include` is followed, with wildcards, from the directory that nginx starts from. Owns the bounds: a loop, a
 * missing file and one file too many are notes, and reading goes on.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, matchesGlob, relative, resolve } from 'node:path';
import { TollgateError } from '../../base/tollgate-error.ts';
import { type Directive, parseNginx } from './nginx-syntax.ts';
import type { Notes } from './notes.ts';
import { readSourceText } from './source-text.ts';

const FILES_MAX = 1_000;
const DEPTH_MAX = 16;
const TEXT_MAX = 32 * 1024 * 1024;
/** Directives over all files, those of a file included twice counted twice. */
const DIRECTIVES_MAX = 200_000;
/** Folders of parts: nginx itself starts from the one above. */
const PART_FOLDERS = ['sites-available', 'sites-enabled', 'conf.d', 'http.d', 'snippets', 'vhosts.d'];

export interface NginxFiles {
  readonly directives: readonly Directive[];
  /** Where relative paths start. Absolute. */
  readonly prefix: string;
}

/** Reads `file` and all it includes. Throws TollgateError for what cannot be read or understood. */
export async function readNginxFiles(file: string, text: string, notes: Notes): Promise<NginxFiles> {
  const directory = dirname(resolve(file));
  const prefix = PART_FOLDERS.includes(basename(directory)) ? dirname(directory) : directory;
  const reader = new Reader(file, prefix, notes);
  return { directives: await reader.expand(parseNginx(text, file), [resolve(file)]), prefix };
}

class Reader {
  readonly #main: string;
  readonly #prefix: string;
  readonly #notes: Notes;
  #files = 0;
  #characters = 0;
  #directives = 0;

  constructor(main: string, prefix: string, notes: Notes) {
    this.#main = main;
    this.#prefix = prefix;
    this.#notes = notes;
  }

  async expand(directives: readonly Directive[], chain: readonly string[]): Promise<readonly Directive[]> {
    const expanded: Directive[] = [];
    for (const directive of directives) {
      if (++this.#directives > DIRECTIVES_MAX) {
        throw new TollgateError(
          'import_unreadable',
          `${directive.file}:${directive.line}: more than ${DIRECTIVES_MAX} directives in all files`,
        );
      }
      if (directive.name === 'include' && directive.block === null) expanded.push(...(await this.#include(directive, chain)));
      else if (directive.block === null) expanded.push(directive);
      else expanded.push({ ...directive, block: await this.expand(directive.block, chain) });
    }
    return expanded;
  }

  async #include(directive: Directive, chain: readonly string[]): Promise<readonly Directive[]> {
    const [pattern = ''] = directive.args;
    const skip = (why: string): readonly Directive[] => {
      this.#notes.add('untranslated', directive, why);
      return [];
    };
    // Media types of files: of no use to who serves none.
    if (basename(pattern) === 'mime.types') return [];
    if (chain.length >= DEPTH_MAX) return skip(`files include each other more than ${DEPTH_MAX} deep`);
    const paths = await this.#matching(resolve(this.#prefix, pattern));
    const all: Directive[] = [];
    for (const path of paths) {
      if (chain.includes(path)) {
        skip(`${this.#shown(path)} includes itself`);
        continue;
      }
      if (++this.#files > FILES_MAX) return [...all, ...skip(`more than ${FILES_MAX} files`)];
      let text: string;
      try {
        text = await readSourceText(path, this.#shown(path));
      } catch (error) {
        if (!(error instanceof TollgateError) || error.code !== 'file_unreadable') throw error;
        skip(error.message);
        continue;
      }
      this.#characters += text.length;
      if (this.#characters > TEXT_MAX) return [...all, ...skip(`the files are more than ${TEXT_MAX / 1_048_576} MiB together`)];
      all.push(...(await this.expand(parseNginx(text, this.#shown(path)), [...chain, path])));
    }
    return all;
  }

  /** Absolute paths in order of their names; a path without wildcards as it is. */
  async #matching(pattern: string): Promise<readonly string[]> {
    const isPattern = (part: string): boolean => /[*?[]/.test(part);
    let found = ['/'];
    for (const part of pattern.split('/').filter((each) => each !== '')) {
      if (!isPattern(part)) {
        found = found.map((path) => join(path, part));
        continue;
      }
      const lists = await Promise.all(
        found.map(async (path) =>
          (await readdir(path).catch((): string[] => []))
            .filter((name) => (!name.startsWith('.') || part.startsWith('.')) && matchesGlob(name, part))
            .sort()
            .map((name) => join(path, name)),
        ),
      );
      found = lists.flat().slice(0, FILES_MAX + 1);
    }
    return found;
  }

  /** As a person would find it from where the first file was named. */
  #shown(path: string): string {
    return isAbsolute(this.#main) ? path : join(dirname(this.#main), relative(dirname(resolve(this.#main)), path));
  }
}
