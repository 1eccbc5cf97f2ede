/**
 * Files with lists of revoked certificates. Who checks a configuration reads them whole, and who then runs it needs what was read: a list of a
 * million entries takes a second and more. So a list that was checked is kept for whoever comes for it soon, and one that has been checked
 * is not read again while its file is as it was.
 */
import { stat } from 'node:fs/promises';
import { fileProblem } from '../base/bounded-file.ts';
import { REVOCATION_LISTS_MAX } from '../base/limits.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { CrlFacts } from './crl-reader.ts';
import { closeList, type RevocationList, readRevocationList } from './revocation-list.ts';

/** How long a list waits for whoever runs what was checked. Milliseconds. */
const KEPT_MS = 30_000;

interface Checked {
  /** What the file was like. */
  readonly state: string;
  readonly facts: CrlFacts;
  /** Null: somebody has come for it, or nobody has. */
  list: RevocationList | null;
}

export class ListFiles {
  readonly #byPath = new Map<string, Checked>();

  /** What the list in the file `path` says of itself, and whether it is by one of `issuers`. Throws TollgateError. */
  async check(path: string, issuers: readonly Certificate[]): Promise<CrlFacts> {
    const state = await fileState(path);
    const known = this.#byPath.get(path);
    if (known?.state === state && isByOneOf(known.facts, issuers)) return known.facts;
    const list = await readRevocationList(path, issuers);
    this.#keep(path, { state, facts: list.facts, list });
    return list.facts;
  }

  /** The list in the file `path`, which is in `state`: the caller's to close. Throws TollgateError. */
  async take(path: string, state: string, issuers: readonly Certificate[]): Promise<RevocationList> {
    const known = this.#byPath.get(path);
    if (known === undefined || known.list === null || known.state !== state || !isByOneOf(known.facts, issuers))
      return await readRevocationList(path, issuers);
    const { list } = known;
    known.list = null;
    return list;
  }

  #keep(path: string, checked: Checked): void {
    this.#drop(path);
    // The one that was checked first goes first.
    for (const first of this.#byPath.keys()) {
      if (this.#byPath.size < REVOCATION_LISTS_MAX) break;
      this.#drop(first);
    }
    this.#byPath.set(path, checked);
    setTimeout(() => giveUp(checked), KEPT_MS).unref();
  }

  #drop(path: string): void {
    const known = this.#byPath.get(path);
    if (known !== undefined) giveUp(known);
    this.#byPath.delete(path);
  }
}

/** Those of this process. */
export const listFiles = new ListFiles();

/** What changes when somebody writes the file or puts another in its place. Throws TollgateError with a sentence about the list. */
export async function fileState(path: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(path);
    return `${mtimeMs} ${size} ${ino}`;
  } catch (error) {
    throw new TollgateError('crl_invalid', `the revocation list ${path} cannot be used: ${fileProblem(path, error)}`, error);
  }
}

function giveUp(checked: Checked): void {
  if (checked.list !== null) closeList(checked.list);
  checked.list = null;
}

function isByOneOf({ issuer }: CrlFacts, issuers: readonly Certificate[]): boolean {
  return issuers.some(({ der }) => Buffer.compare(der, issuer.der) === 0);
}
