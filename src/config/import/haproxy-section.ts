/** A frontend, backend or listen section with the defaults that hold for it. */
import type { Line, Section } from './haproxy-syntax.ts';

/** Where a setting comes from: the section itself, then its defaults. */
export class ProxySection {
  readonly section: Section;
  readonly #defaults: readonly Section[];

  constructor(section: Section, defaults: readonly Section[]) {
    this.section = section;
    this.#defaults = defaults;
  }

  /** The last line that begins with `words`: its own, or of its defaults. */
  setting(...words: readonly string[]): Line | undefined {
    for (const { lines } of [this.section, ...this.#defaults]) {
      const found = lines.findLast((line) => words.every((word, i) => line.words[i] === word));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Lines of the section itself that begin with `word`. */
  lines(word: string): readonly Line[] {
    return this.section.lines.filter(({ words }) => words[0] === word);
  }

  /** Words of default-server lines, those of the defaults first. */
  get serverDefaults(): readonly string[] {
    return [...this.#defaults.toReversed(), this.section].flatMap(({ lines }) =>
      lines.filter(({ words }) => words[0] === 'default-server').flatMap(({ words }) => words.slice(1)),
    );
  }

  /** HAProxy's own default is tcp. */
  get isHttp(): boolean {
    return this.setting('mode')?.words[1] === 'http';
  }
}
