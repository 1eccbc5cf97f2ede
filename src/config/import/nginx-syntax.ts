/**
 * The language of nginx's files: text to a tree of directives, each with its line. Knows quoting, escapes, comments and blocks as
 * ngx_conf_file.c reads them; knows no directive but those whose block is another language. Bounded; throws a sentence with the place.
 */
import { TollgateError } from '../../base/tollgate-error.ts';
import { shown } from '../wording.ts';
import type { Origin } from './notes.ts';

/** Blocks within each other. */
const DEPTH_MAX = 32;
/** Directives of one file. */
const DIRECTIVES_MAX = 50_000;
/** Longest word. nginx itself takes 4,096 bytes. Characters. */
const WORD_MAX = 16_384;
const WORDS_MAX = 10_000;

export interface Directive extends Origin {
  readonly name: string;
  readonly args: readonly string[];
  /** What stands in its braces; null when it has none. */
  readonly block: readonly Directive[] | null;
}

/** Reads `text`, naming `file` in errors. Throws TollgateError `import_unreadable`. */
export function parseNginx(text: string, file: string): readonly Directive[] {
  return new Parser(text, file).file();
}

class Parser {
  readonly #text: string;
  readonly #file: string;
  #at = 0;
  #line = 1;
  #count = 0;

  constructor(text: string, file: string) {
    this.#text = text.startsWith('\ufeff') ? text.slice(1) : text;
    this.#file = file;
  }

  file(): readonly Directive[] {
    return this.#block(null, 0);
  }

  /** Up to the end of the block that began on line `from`, or of the file. */
  #block(from: number | null, depth: number): readonly Directive[] {
    const directives: Directive[] = [];
    for (;;) {
      this.#space();
      const next = this.#text[this.#at];
      if (next === undefined) {
        if (from !== null) throw this.#wrong(from, "the block that begins here has no end ('}')");
        return directives;
      }
      if (next === '}') {
        if (from === null) throw this.#wrong(this.#line, "a '}' without '{' before it");
        this.#at++;
        return directives;
      }
      directives.push(this.#directive(depth));
    }
  }

  #directive(depth: number): Directive {
    if (++this.#count > DIRECTIVES_MAX) throw this.#wrong(this.#line, `more than ${DIRECTIVES_MAX} directives in one file`);
    const line = this.#line;
    const words: string[] = [];
    for (;;) {
      this.#space();
      const next = this.#text[this.#at];
      if (next === undefined || next === '}') {
        throw this.#wrong(line, `${shown(words.join(' '))} does not end: ';' or '{' is missing`);
      }
      if (next === ';' || next === '{') {
        if (words.length === 0) throw this.#wrong(line, `found '${next}' where a directive should begin`);
        this.#at++;
        const [name = '', ...args] = words;
        const block = next === ';' ? null : /_by_lua_block$/.test(name) ? this.#foreign(line) : this.#inner(line, depth);
        return { file: this.#file, line, text: words.join(' ').slice(0, 1_000), name, args, block };
      }
      if (words.length >= WORDS_MAX) throw this.#wrong(line, `more than ${WORDS_MAX} words in one directive`);
      words.push(this.#word());
    }
  }

  #inner(line: number, depth: number): readonly Directive[] {
    if (depth >= DEPTH_MAX) throw this.#wrong(line, `blocks stand in each other more than ${DEPTH_MAX} deep`);
    return this.#block(line, depth + 1);
  }

  /** A block of Lua: its braces are counted, those in texts and comments left out; nothing else of it is looked at. */
  #foreign(line: number): readonly Directive[] {
    const opaque = /--\[\[[\s\S]*?\]\]|--[^\n]*|\[\[[\s\S]*?\]\]|"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*'/y;
    const from = this.#at;
    for (let open = 1; open > 0; ) {
      opaque.lastIndex = this.#at;
      const next = this.#text[this.#at];
      if (next === undefined) throw this.#wrong(line, "the block that begins here has no end ('}')");
      if (/["'[-]/.test(next) && opaque.test(this.#text)) {
        this.#at = opaque.lastIndex;
        continue;
      }
      if (next === '{') open++;
      else if (next === '}') open--;
      this.#at++;
    }
    this.#line += this.#text.slice(from, this.#at).split('\n').length - 1;
    return [];
  }

  #space(): void {
    for (;;) {
      const next = this.#text[this.#at];
      if (next === '#') while (this.#at < this.#text.length && this.#text[this.#at] !== '\n') this.#at++;
      else if (next === '\n') {
        this.#line++;
        this.#at++;
      } else if (next !== undefined && /\s/.test(next)) this.#at++;
      else return;
    }
  }

  #word(): string {
    const quote = this.#text[this.#at];
    return quote === '"' || quote === "'" ? this.#quoted(quote) : this.#bare();
  }

  #quoted(quote: string): string {
    const line = this.#line;
    const from = ++this.#at;
    for (; ; this.#at++) {
      const next = this.#text[this.#at];
      if (next === undefined || this.#at - from > WORD_MAX) throw this.#wrong(line, `the text that begins here has no end (${quote})`);
      if (next === '\n') this.#line++;
      if (next === '\\') {
        this.#at++;
        if (this.#text[this.#at] === '\n') this.#line++;
      } else if (next === quote) break;
    }
    const text = unescaped(this.#text.slice(from, this.#at));
    this.#at++;
    const after = this.#text[this.#at];
    // A parenthesis may follow: `if ($a = "b")`.
    if (after !== undefined && !/[\s;{})]/.test(after)) throw this.#wrong(this.#line, `found '${after}' right behind a quoted text`);
    if (after === ')') {
      this.#at++;
      return `${text})`;
    }
    return text;
  }

  #bare(): string {
    const from = this.#at;
    for (; this.#at < this.#text.length; this.#at++) {
      const next = this.#text[this.#at]!;
      if (this.#at - from > WORD_MAX) throw this.#wrong(this.#line, `a word of more than ${WORD_MAX} characters`);
      if (next === '\\') this.#at++;
      else if (next === '$' && this.#text[this.#at + 1] === '{') this.#at++;
      else if (/[\s;{]/.test(next)) break;
      // nginx takes '}' as part of a word: of `${name}`, or of a regular expression.
    }
    return unescaped(this.#text.slice(from, Math.min(this.#at, this.#text.length)));
  }

  #wrong(line: number, message: string): TollgateError {
    return new TollgateError('import_unreadable', `${this.#file}:${line}: ${message}`);
  }
}

/** Quotes and backslashes lose their backslash, `\t`, `\r` and `\n` are what they say, any other backslash stays: of a regular expression. */
function unescaped(text: string): string {
  return text.replaceAll(/\\(["'\\trn])/g, (_, character: string) => {
    if (character === 't') return '\t';
    if (character === 'r') return '\r';
    return character === 'n' ? '\n' : character;
  });
}
