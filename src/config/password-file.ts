/**
 * Reads a password file as htpasswd, nginx and Apache have it: `user:hash` a line, `#` for comments. Owns the file's form; which hashes are
 * taken is base/password-hash.ts's affair. No message quotes a hash, for it may be a password.
 */
import { readBoundedFile } from '../base/bounded-file.ts';
import { parsePasswordHash, USER_BYTES_MAX } from '../base/password-hash.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { shown } from './wording.ts';

/** Largest password file. Bytes. */
export const PASSWORD_FILE_BYTES_MAX = 1_048_576;
/** Users in one file. */
export const USERS_MAX = 10_000;
/** Problems told of at once; who brings a file of old hashes need not read of each. */
const PROBLEMS_MAX = 20;
const NAME_FORM = /^[^:\p{Cc}]+$/u;

export interface PasswordFile {
  /** Name and hash text, in the order of the file; no name twice. For `PasswordTable`. */
  readonly users: readonly (readonly [name: string, hash: string])[];
  /** Whole sentences. */
  readonly warnings: readonly string[];
}

/** What is wrong with a password file, each problem with its line. */
export class PasswordFileError extends TollgateError {
  override name = 'PasswordFileError';
  /** Whole sentences that begin with the path and the line. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super('password_file_invalid', problems.join('; '));
    this.problems = problems;
  }
}

/** Reads `path`. Throws PasswordFileError, or TollgateError `file_unreadable`. */
export async function readPasswordFile(path: string): Promise<PasswordFile> {
  const { bytes, mode } = await readBoundedFile(path, PASSWORD_FILE_BYTES_MAX);
  try {
    const file = parsePasswordFile(bytes, path);
    if ((mode & 0o004) === 0) return file;
    return { ...file, warnings: [`every user of this machine may read ${path}; run 'chmod 640' on it`, ...file.warnings] };
  } finally {
    bytes.fill(0);
  }
}

/** The same from bytes; `path` is for messages alone. */
export function parsePasswordFile(bytes: Uint8Array, path: string): PasswordFile {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new PasswordFileError([`${path} is not UTF-8`]);
  }
  const users = new Map<string, string>();
  const lineOf = new Map<string, number>();
  const warnings: string[] = [];
  const problems: string[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (line.trim() === '' || line.startsWith('#')) continue;
    const at = `${path}:${index + 1}`;
    const entry = readLine(line);
    if (typeof entry === 'string') problems.push(`${at}: ${entry}`);
    else if (lineOf.has(entry.name)) problems.push(`${at}: the user ${shown(entry.name)} stands in line ${lineOf.get(entry.name)} already`);
    else {
      users.set(entry.name, entry.hash);
      lineOf.set(entry.name, index + 1);
      if (entry.warning !== undefined) warnings.push(`${at}: user ${shown(entry.name)}: ${entry.warning}`);
    }
    if (users.size > USERS_MAX) problems.push(`${path} has more than ${USERS_MAX} users`);
    if (problems.length < PROBLEMS_MAX && users.size <= USERS_MAX) continue;
    if (problems.length >= PROBLEMS_MAX) problems.push(`${path}: the lines after ${index + 1} were not looked at`);
    break;
  }
  if (problems.length > 0) throw new PasswordFileError(problems);
  if (users.size === 0) throw new PasswordFileError([`${path} has no users: nobody could pass`]);
  return { users: [...users], warnings };
}

interface Entry {
  readonly name: string;
  readonly hash: string;
  readonly warning: string | undefined;
}

/** One line, or the sentence that says what is wrong with it. nginx allows a remark behind a further colon. */
function readLine(line: string): Entry | string {
  const colon = line.indexOf(':');
  if (colon < 0) return "there is no ':' between user and hash";
  const name = line.slice(0, colon);
  if (name === '') return "there is no user before the ':'";
  if (!NAME_FORM.test(name)) return 'the user name has control characters';
  if (name !== name.trim()) return `the user name ${shown(name)} begins or ends with a space`;
  if (Buffer.byteLength(name) > USER_BYTES_MAX) return `the user name is longer than ${USER_BYTES_MAX} bytes`;
  const rest = line.slice(colon + 1);
  const remark = rest.indexOf(':');
  const text = (remark < 0 ? rest : rest.slice(0, remark)).trimEnd();
  const hash = parsePasswordHash(text);
  if (typeof hash === 'string') return `user ${shown(name)}: ${hash}`;
  return { name, hash: hash.text, warning: hash.warning };
}
