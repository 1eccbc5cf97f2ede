/**
 * The sentences in a TypeScript source: what stands between quotes and has words in it, template literals piece by piece. For the test that
 * every sentence which configuration code can say is said in a golden.
 *
 * Why the text, and not the coverage of lines: a sentence that runs is not yet one that was read by anybody, messages of the child that
 * evaluates programs would be missing from it, and one line often builds several. No parser: TypeScript 7 has no interface for one. The
 * formatter runs first; what this could take for something else is a regular expression, which begins where a value may.
 */

export interface Sentence {
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

/** Behind these a slash begins a regular expression. */
const BEFORE_VALUE = /(?:[(,=:[!&|?{};<>+]|\breturn|\bcase|=>)\s*$/;

/** Literals of `source` with two words or more; those in a call of one of `calls` are left out. */
export function sentencesOf(source: string, calls: readonly string[] = []): readonly Sentence[] {
  const found: Sentence[] = [];
  /** Depths of braces at which a template goes on. */
  const templates: number[] = [];
  const skipped = skippedRanges(source, calls);
  let depth = 0;
  const add = (at: number, raw: string): void => {
    const text = raw.replace(/\\(.)/gs, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
    if (!/\S*\p{L}\S* +\S*\p{L}{2,}/u.test(text)) return;
    if (!skipped.some(([from, to]) => at >= from && at < to)) found.push({ line: source.slice(0, at).split('\n').length, text });
  };
  for (let at = 0; at < source.length; at++) {
    const character = source[at]!;
    if (source.startsWith('//', at)) at = endOf(source, '\n', at);
    else if (source.startsWith('/*', at)) at = endOf(source, '*/', at) + 1;
    else if (character === '/' && BEFORE_VALUE.test(source.slice(Math.max(0, at - 16), at))) at = endOfExpression(source, at);
    else if (character === "'" || character === '"') {
      const end = endOfText(source, character, at + 1);
      add(at, source.slice(at + 1, end));
      at = end;
    } else if (character === '`' || (character === '}' && templates.at(-1) === depth)) {
      if (character === '}') templates.pop();
      const end = endOfTemplate(source, at + 1);
      add(at, source.slice(at + 1, end));
      at = end;
      if (source[end] === '$') {
        at++;
        templates.push(depth);
      }
    } else if (character === '{') depth++;
    else if (character === '}') depth--;
  }
  return found;
}

/** From the name of a call to the first comma or bracket behind its first text. */
function skippedRanges(source: string, calls: readonly string[]): readonly (readonly [from: number, to: number])[] {
  return calls.flatMap((name) =>
    [...source.matchAll(new RegExp(`\\b${name}\\(\\s*(['"\`])`, 'g'))].map(({ index, 0: whole, 1: quote }): [number, number] => [
      index,
      endOfText(source, quote!, index + whole.length),
    ]),
  );
}

function endOf(source: string, text: string, from: number): number {
  const at = source.indexOf(text, from + 2);
  return at < 0 ? source.length : at;
}

function endOfText(source: string, quote: string, from: number): number {
  let at = from;
  while (at < source.length && source[at] !== quote) at += source[at] === '\\' ? 2 : 1;
  return at;
}

/** At the closing backtick, or at the dollar of what is put in. */
function endOfTemplate(source: string, from: number): number {
  let at = from;
  while (at < source.length && source[at] !== '`' && !source.startsWith('${', at)) at += source[at] === '\\' ? 2 : 1;
  return at;
}

function endOfExpression(source: string, from: number): number {
  let inClass = false;
  for (let at = from + 1; at < source.length; at++) {
    const character = source[at]!;
    if (character === '\\') at++;
    else if (character === '[') inClass = true;
    else if (character === ']') inClass = false;
    else if (character === '/' && !inClass) return at;
  }
  return source.length;
}
