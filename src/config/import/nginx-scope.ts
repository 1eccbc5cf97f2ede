/** What is in force at a place of nginx's tree, and which directives were looked at: those that were not are told in the end. */
import type { Directive } from './nginx-syntax.ts';

/** A block, within others. A setting that it does not have comes from the one around it. */
export class Scope {
  readonly directives: readonly Directive[];
  readonly outer: Scope | null;
  readonly #seen: Set<Directive>;
  readonly #byName = new Map<string, Directive[]>();

  constructor(directives: readonly Directive[], outer: Scope | null, seen: Set<Directive>) {
    this.directives = directives;
    this.outer = outer;
    this.#seen = seen;
    for (const directive of directives) {
      const list = this.#byName.get(directive.name);
      if (list === undefined) this.#byName.set(directive.name, [directive]);
      else list.push(directive);
    }
  }

  inner(directives: readonly Directive[]): Scope {
    return new Scope(directives, this, this.#seen);
  }

  /** The last of this block alone. */
  own(name: string): Directive | undefined {
    return this.ownAll(name).at(-1);
  }

  /** All of this block alone. */
  ownAll(name: string): readonly Directive[] {
    const list = this.#byName.get(name) ?? [];
    for (const each of list) this.#seen.add(each);
    return list;
  }

  /** The one in force. */
  last(name: string): Directive | undefined {
    return this.all(name).at(-1);
  }

  /** Those in force: of the innermost block that has any. */
  all(name: string): readonly Directive[] {
    for (let scope: Scope | null = this; scope !== null; scope = scope.outer) {
      const list = scope.ownAll(name);
      if (list.length > 0) return list;
    }
    return [];
  }

  see(directive: Directive): void {
    this.#seen.add(directive);
  }
}
