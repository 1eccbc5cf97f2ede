/**
 * Who may pass with a name and a password. Owns the users of a route, what was verified lately, and how many verifications may run or wait
 * at once; knows nothing of HTTP beyond where the credentials lie.
 *
 * A password hash is made to be slow, and HTTP sends the password with every request: a verified one is remembered for minutes, a wrong
 * one for seconds, both under an HMAC with a key that lives as long as the process. Requests with the same credentials at the same time
 * (a page and its pictures) share one verification. An unknown user costs what a known one does.
 */
import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { assert } from '../base/assert.ts';
import { HASH_CHARACTERS_MAX, PASSWORD_BYTES_MAX, type PasswordHash, parsePasswordHash, USER_BYTES_MAX } from '../base/password-hash.ts';
import type { BasicCredentials } from '../http/basic-auth.ts';
import { checkPassword, type PasswordOutcome, passwordSupport } from './check-password.ts';

/** How long a verified credential passes without another verification. Milliseconds. A withdrawn user's hash is gone with the plan at once. */
export const VERIFIED_MS = 300_000;
/** How long a wrong one fails without another verification. Milliseconds. */
export const REFUSED_MS = 10_000;
/** Verified credentials remembered in one worker; past it the oldest goes. */
export const VERIFIED_MAX = 4_096;
/** Wrong ones. A table of their own, so that guessing pushes nobody out of the other. */
export const REFUSED_MAX = 4_096;
/** Verifications at once in one worker: half of libuv's four threads, for compression and the names of targets need the rest. */
export const RUNNING_MAX = 2;
/** Verifications that wait for a thread; past it the answer is "busy". */
export const WAITING_MAX = 64;
/** Requests that wait for a verification, their own or a shared one. */
export const ASKING_MAX = 1_024;

/** The users of one password file, in the words of a plan. */
export class PasswordTable {
  /** By the bytes of the name, one a character. */
  readonly #users = new Map<string, PasswordHash>();
  readonly #hashes: PasswordHash[] = [];

  /**
   * `users`: name and hash text, both checked before they came into the plan; a hash that is none is a programmer's error. Throws an Error
   * with one sentence when this machine cannot compute one of them: nobody could pass, and nobody would know why.
   */
  constructor(users: readonly (readonly [name: string, hash: string])[]) {
    for (const [name, text] of users) {
      const hash = parsePasswordHash(text);
      assert(typeof hash !== 'string', 'hashes are checked before they are planned');
      const lack = passwordSupport(hash);
      if (lack !== null) throw new Error(`the password of user ${JSON.stringify(name)} cannot be checked here: ${lack}`);
      this.#users.set(Buffer.from(name, 'utf8').toString('latin1'), hash);
      this.#hashes.push(hash);
    }
  }

  get size(): number {
    return this.#hashes.length;
  }

  /** The hash of the user whose name lies in `bytes[start, end)`. */
  find(bytes: Buffer, start: number, end: number): PasswordHash | undefined {
    return this.#users.get(bytes.latin1Slice(start, end));
  }

  /**
   * What an unknown user is checked against: the hash of some user, always the same one for the same `pick` (any unsigned integer). In a
   * file of several schemes and costs, unknown names so take the times that known ones take. Undefined when there are no users.
   */
  decoy(pick: number): PasswordHash | undefined {
    return this.#hashes[pick % this.#hashes.length];
  }
}

/** One request that waits; see `PasswordVerifier.cancel`. */
export interface Asking {
  done: PasswordOutcome | null;
  readonly job: Job;
}

interface Job {
  readonly key: string;
  readonly hash: PasswordHash;
  readonly known: boolean;
  readonly password: Buffer;
  readonly asking: Asking[];
  /** Requests in `asking` that still want to know. */
  wanted: number;
}

/** One a worker. */
export class PasswordVerifier {
  /** Verifications that said yes, said no, and could not be made. */
  verified = 0;
  refused = 0;
  failed = 0;
  /** Answers from memory. */
  remembered = 0;
  /** Requests turned away because too many were waiting. */
  busy = 0;

  readonly #nowMs: () => number;
  readonly #runningMax: number;
  readonly #waitingMax: number;
  readonly #key: KeyObject = createSecretKey(randomBytes(32));
  readonly #message = Buffer.alloc(8 + USER_BYTES_MAX + HASH_CHARACTERS_MAX + PASSWORD_BYTES_MAX);
  /**
   * Credential to when it is forgotten. Looked up by HMAC: how long a look-up takes tells nothing, for nobody outside can choose or know
   * the digests. All lifetimes of a table are equal, so the first entry is the oldest and the first to end.
   */
  readonly #verifiedUntil = new Map<string, number>();
  readonly #refusedUntil = new Map<string, number>();
  readonly #jobs = new Map<string, Job>();
  readonly #waiting: Job[] = [];
  #running = 0;
  #asking = 0;

  /** `nowMs`: a clock that never goes back. */
  constructor(nowMs: () => number, runningMax = RUNNING_MAX, waitingMax = WAITING_MAX) {
    assert(runningMax > 0 && waitingMax >= 0, 'at least one verification may run');
    this.#nowMs = nowMs;
    this.#runningMax = runningMax;
    this.#waitingMax = waitingMax;
  }

  /** Verifications that run, and that wait to. */
  get running(): number {
    return this.#running;
  }
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Says through `done` whether `credentials` (read at once, copied where needed) are those of a user of `table`: true, false, or null when
   * that cannot be said now (too many wait, or a library is missing): 503, not 401, or a browser would ask for another password.
   *
   * What is remembered is answered within this call, which then returns null. Otherwise `done` comes later, from the loop, and the result
   * is for `cancel`.
   */
  verify(table: PasswordTable, credentials: BasicCredentials, done: PasswordOutcome): Asking | null {
    const { bytes, userEnd, passwordStart, passwordEnd } = credentials;
    const own = table.find(bytes, 0, userEnd);
    const digest = this.#digest(own, credentials);
    const key = digest.latin1Slice(0, 32);
    const now = this.#nowMs();
    if (this.#isRemembered(this.#verifiedUntil, key, now)) {
      done(true);
      return null;
    }
    const hash = own ?? table.decoy(digest.readUInt32LE(0));
    if (hash === undefined || this.#isRemembered(this.#refusedUntil, key, now)) {
      done(false);
      return null;
    }
    let job = this.#jobs.get(key);
    const isNew = job === undefined;
    if (this.#asking >= ASKING_MAX || (isNew && this.#running >= this.#runningMax && this.#waiting.length >= this.#waitingMax)) {
      this.busy++;
      done(null);
      return null;
    }
    job ??= {
      key,
      hash,
      known: own !== undefined,
      password: Buffer.from(bytes.subarray(passwordStart, passwordEnd)),
      asking: [],
      wanted: 0,
    };
    const asking: Asking = { done, job };
    job.asking.push(asking);
    job.wanted++;
    this.#asking++;
    if (isNew) {
      this.#jobs.set(key, job);
      if (this.#running < this.#runningMax) this.#run(job);
      else this.#waiting.push(job);
    }
    return asking;
  }

  /** The request is gone: its `done` is not called any more. A verification that nobody waits for is not begun. */
  cancel(asking: Asking): void {
    if (asking.done === null) return;
    asking.done = null;
    const { job } = asking;
    job.wanted--;
    if (job.wanted > 0) return;
    const at = this.#waiting.indexOf(job);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    this.#drop(job);
  }

  /** HMAC-SHA-256 over the user's name, its hash and the password: another password, or another hash in the file, is another credential. */
  #digest(own: PasswordHash | undefined, { bytes, userEnd, passwordStart, passwordEnd }: BasicCredentials): Buffer {
    const message = this.#message;
    // Lengths in front, so that no two of these run together into the same bytes.
    message.writeUInt16LE(userEnd, 0);
    message.writeUInt16LE(own === undefined ? 0 : own.text.length, 2);
    let at = 4;
    at += bytes.copy(message, at, 0, userEnd);
    if (own !== undefined) at += message.latin1Write(own.text, at);
    at += bytes.copy(message, at, passwordStart, passwordEnd);
    const digest = createHmac('sha256', this.#key).update(message.subarray(0, at)).digest();
    message.fill(0, 0, at);
    return digest;
  }

  #isRemembered(until: Map<string, number>, key: string, now: number): boolean {
    const end = until.get(key);
    if (end === undefined) return false;
    if (end <= now) {
      until.delete(key);
      return false;
    }
    this.remembered++;
    return true;
  }

  #run(job: Job): void {
    this.#running++;
    checkPassword(job.hash, job.password, (ok) => this.#onChecked(job, ok));
  }

  #onChecked(job: Job, matches: boolean | null): void {
    this.#running--;
    // The decoy's password must open nothing.
    const ok = matches === null ? null : matches && job.known;
    if (ok === null) this.failed++;
    else if (ok) {
      this.verified++;
      remember(this.#verifiedUntil, job.key, this.#nowMs() + VERIFIED_MS, VERIFIED_MAX);
    } else {
      this.refused++;
      remember(this.#refusedUntil, job.key, this.#nowMs() + REFUSED_MS, REFUSED_MAX);
    }
    this.#drop(job);
    // The next one first: whoever is told may ask again.
    const next = this.#waiting.shift();
    if (next !== undefined) this.#run(next);
    for (const asking of job.asking) {
      const { done } = asking;
      asking.done = null;
      done?.(ok);
    }
  }

  #drop(job: Job): void {
    this.#jobs.delete(job.key);
    this.#asking -= job.asking.length;
    job.password.fill(0);
  }
}

function remember(until: Map<string, number>, key: string, end: number, most: number): void {
  until.delete(key);
  if (until.size >= most) {
    const [oldest] = until.keys();
    if (oldest !== undefined) until.delete(oldest);
  }
  until.set(key, end);
}
