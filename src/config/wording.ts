/**
 * How a configuration error words things: what was found, and which right name was probably meant.
 * What is quoted back is bounded and never more than one line, so that a key pasted into the file does not reach a log.
 */

const SHOWN_MAX = 60;

/** What was found, for a sentence: `'text'`, `42`, `a list`, `a mapping`, `nothing`. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value !== 'string') return String(value);
  if (value.includes('-----BEGIN')) return 'the text of a PEM file';
  if (/[\r\n]/.test(value)) return 'text of several lines';
  const printable = JSON.stringify(value).slice(1, -1).replaceAll('\\"', '"');
  return printable.length <= SHOWN_MAX ? `'${printable}'` : `'${printable.slice(0, SHOWN_MAX - 3)}...'`;
}

/** The sentence for a value of the wrong kind. */
export function wrong(found: unknown, expected: string): string {
  return found === undefined ? `missing; expected ${expected}` : `found ${shown(found)}, expected ${expected}`;
}

/** `; did you mean 'x'?`, or nothing when no name is near. */
export function didYouMean(found: string, names: Iterable<string>): string {
  const near = nearest(found, names);
  return near === undefined ? '' : `; did you mean '${near}'?`;
}

/** `a, b, c`, cut short when there are many. */
export function listed(names: readonly string[]): string {
  return names.length <= 16 ? names.join(', ') : `${names.slice(0, 16).join(', ')} and ${names.length - 16} more`;
}

/**
 * The name that `found` is most likely a misspelling of: equal but for case and separators, a name it abbreviates,
 * or one within a third of its length in edits (insert, delete, replace, swap of neighbours).
 */
export function nearest(found: string, names: Iterable<string>): string | undefined {
  if (found.length === 0 || found.length > 64) return undefined;
  const wanted = plain(found);
  if (wanted === '') return undefined;
  let best: string | undefined;
  let bestEdits = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  let abbreviated: string | undefined;
  for (const name of names) {
    const candidate = plain(name);
    if (candidate.length > 64) continue;
    if (wanted.length >= 3 && candidate.startsWith(wanted)) abbreviated ??= name;
    const edits = distance(wanted, candidate);
    if (edits < bestEdits) {
      best = name;
      bestEdits = edits;
    }
  }
  return best ?? abbreviated;
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, '');
}

/** Optimal string alignment distance, in three rows. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let edits = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1));
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        edits = Math.min(edits, before[column - 2]! + 1);
      }
      current.push(edits);
    }
    before = last;
    last = current;
  }
  return last[b.length]!;
}
