/**
 * What an import could not carry over, or carried over with a difference: each with its place in the file it came from. Owns the words;
 * bounded, and each said once however often the line at fault is looked at.
 */
import { shown } from '../wording.ts';

/** Notes that are kept; the rest is counted. */
const NOTES_MAX = 2_000;

/** `unguarded`: it kept somebody out, and nothing does now. `untranslated`: it is not in the result. `differs`: it is, with a difference. */
export type NoteKind = 'unguarded' | 'untranslated' | 'differs';

/** Where something stands that is to be translated. */
export interface Origin {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** As it was written, or enough of it. */
  readonly text: string;
}

export interface ImportNote {
  readonly kind: NoteKind;
  readonly file: string;
  readonly line: number;
  /** What stood there, cut short. */
  readonly what: string;
  /** Why, or what is different; '' when there is nothing like it. */
  readonly why: string;
  /** What to do about it, when there is something. */
  readonly instead: string | null;
}

const OPENINGS: Readonly<Record<NoteKind, string>> = {
  unguarded: 'UNGUARDED, nothing keeps these clients out now',
  untranslated: 'not translated',
  differs: 'translated with a difference',
};

export class Notes {
  readonly #notes: ImportNote[] = [];
  readonly #known = new Set<string>();
  readonly #beside = new Map<object, ImportNote[]>();
  readonly #placed = new Set<ImportNote>();
  #lost = 0;

  /** `beside`: the part of the result that it is about, where it stands as a comment. */
  add(kind: NoteKind, at: Origin, why: string, instead: string | null = null, beside: object | null = null): void {
    const note: ImportNote = {
      kind,
      file: oneLine(at.file),
      line: at.line,
      what: shown(oneLine(at.text)).replaceAll('\\\\', '\\'),
      why,
      instead,
    };
    const key = JSON.stringify([note.file, note.line, note.what, why]);
    if (this.#known.has(key)) return;
    if (this.#notes.length >= NOTES_MAX) {
      this.#lost++;
      return;
    }
    this.#known.add(key);
    this.#notes.push(note);
    if (beside !== null) this.#beside.set(beside, [...(this.#beside.get(beside) ?? []), note]);
  }

  /** In order: what is unguarded first, then by file as they were first met, and line. */
  get list(): readonly ImportNote[] {
    const files = [...new Set(this.#notes.map(({ file }) => file))];
    const rank = ({ kind }: ImportNote): number => (kind === 'unguarded' ? 0 : 1);
    return this.#notes.toSorted((a, b) => rank(a) - rank(b) || files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line);
  }

  /** The first that was added: what others follow from. */
  get first(): ImportNote | undefined {
    return this.#notes[0];
  }

  /** Notes that found no room. */
  get lost(): number {
    return this.#lost;
  }

  /** Sentences about `part`, each given once. */
  take(part: object): readonly string[] {
    const notes = this.#beside.get(part) ?? [];
    for (const note of notes) this.#placed.add(note);
    return notes.map(noteText);
  }

  /** Sentences that no part took. */
  rest(): readonly string[] {
    return this.list.filter((note) => !this.#placed.has(note)).map(noteText);
  }
}

/** One line: `nginx.conf:12: 'gzip_static on': not translated: ...; ...`. */
export function noteText({ kind, file, line, what, why, instead }: ImportNote): string {
  return `${file}:${line}: ${what}: ${OPENINGS[kind]}${why === '' ? '' : `: ${why}`}${instead === null ? '' : `; ${instead}`}`;
}

function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ');
}
