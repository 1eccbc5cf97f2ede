/**
 * Which TLS engine serves a listener, and why: the fast one unless a setting needs the other, or the fast one is not there. Reads the
 * libraries' symbol tables and loads nothing: a worker does that, and what then fails is told by it.
 */
import { readFileSync, statSync } from 'node:fs';
import { fileProblem } from '../base/bounded-file.ts';
import type { EngineName } from '../base/engine-name.ts';
import { findPolicy } from '../hello/policies.ts';
import { readElfExports } from '../native/elf.ts';
import { s2nLibraryPath } from '../native/library-path.ts';
import { OPENSSL_SYMBOLS } from '../native/openssl-symbols.ts';
import { LIBRARY_BYTES_MAX, libraryVersions } from '../native/versions.ts';
import type { Config } from './schema.ts';
import { listed } from './wording.ts';

type TlsSettings = NonNullable<Config['listeners'][number]['tls']>;

export interface EngineChoice {
  readonly engine: EngineName;
  /** For people: `nothing asks for more than the fast one has`. */
  readonly reason: string;
  /** What the setting `engine` asks for and cannot have. */
  readonly problem: string | null;
}

/** `fastProblem`: why the fast engine cannot be had; null: it can. */
export function chooseEngine(tls: TlsSettings, fastProblem: string | null): EngineChoice {
  const needs = [
    ...([tls, ...tls.names].some(({ policy = tls.policy }) => findPolicy(policy)?.s2n === null) ? ['this policy (tls.policy)'] : []),
    ...(tls.library === undefined ? [] : ['another library (tls.library)']),
    ...([tls, ...tls.names].some(({ clientCertificates }) => (clientCertificates?.mode ?? 'off') !== 'off')
      ? ['client certificates (clientCertificates)']
      : []),
    ...(tls.compressCertificates ? ['certificate compression (tls.compressCertificates)'] : []),
  ];
  if (tls.engine === 's2n') {
    const problem =
      needs.length > 0
        ? `this listener needs openssl, for ${listed(needs)}`
        : fastProblem === null
          ? null
          : `the fast TLS engine cannot be had: ${fastProblem}`;
    return { engine: 's2n', reason: 'tls.engine asks for it', problem };
  }
  if (tls.engine === 'openssl') return { engine: 'openssl', reason: 'tls.engine asks for it', problem: null };
  if (needs.length > 0) return { engine: 'openssl', reason: `needed for ${listed(needs)}`, problem: null };
  if (fastProblem !== null) return { engine: 'openssl', reason: 'the fast engine cannot be had', problem: null };
  return { engine: 's2n', reason: 'the fast one has all that is asked for', problem: null };
}

/** Why the fast engine cannot be had, as far as its file tells; null: it can. Remembered for as long as the file is the same. */
export function fastEngineProblem(path: () => string = s2nLibraryPath): string | null {
  let file = '';
  try {
    file = path();
    const { mtimeMs, size } = statSync(file);
    const id = `${file} ${mtimeMs} ${size}`;
    if (seen?.id !== id) seen = { id, problem: problemOf(file) };
    return seen.problem;
  } catch (error) {
    const message = systemProblem(file, error);
    return file === '' ? `its package cannot be read (${message})` : message;
  }
}

let seen: { readonly id: string; readonly problem: string | null } | null = null;

function problemOf(file: string): string | null {
  const { machine, missing } = libraryVersions(file);
  if (machine !== process.arch) return `${file} is for another machine`;
  return missing.length === 0 ? null : `${file} does not export ${missing[0]}`;
}

/** Why the libssl at `path` cannot be used, as far as its file tells; null: it can. */
export function opensslLibraryProblem(path: string): string | null {
  try {
    const { size } = statSync(path);
    if (size > LIBRARY_BYTES_MAX) return `larger than ${LIBRARY_BYTES_MAX} bytes`;
    const { machine, functions } = readElfExports(readFileSync(path));
    if (machine !== process.arch) return 'it is for another machine';
    // What begins otherwise is libcrypto's, which is loaded with it.
    const missing = Object.keys(OPENSSL_SYMBOLS).find((name) => name.startsWith('SSL_') && !functions.has(name));
    return missing === undefined ? null : `it does not export ${missing}: it is no libssl of OpenSSL 3`;
  } catch (error) {
    return systemProblem(path, error);
  }
}

/** What the system says of a file, or what we found in it. */
function systemProblem(path: string, error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return path !== '' && 'syscall' in error ? fileProblem(path, error) : error.message;
}
