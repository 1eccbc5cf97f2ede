/**
 * What a TLS library file is, read without loading it: the versions inside, and which functions of the manifest it lacks.
 *
 * `npm audit` knows aws-crt and not what was compiled into it, so whoever watches advisories needs these two numbers. AWS-LC carries its
 * version as text. s2n-tls carries none and has no function that tells, so it is recorded here for the exact files that were looked at.
 */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { TollgateError } from '../base/tollgate-error.ts';
import { readElfExports } from './elf.ts';
import { S2N_SYMBOLS } from './s2n-symbols.ts';

/** Largest file looked at. Bytes; aws-crt's are 5 to 8 MB. */
export const LIBRARY_BYTES_MAX = 256 * 1024 * 1024;

/** Where a version is not known: said, never guessed. */
export const VERSION_UNKNOWN = 'unknown';

export interface LibraryVersions {
  /** `1.7.10`, or VERSION_UNKNOWN. */
  readonly s2n: string;
  /** `5.9.0`, or VERSION_UNKNOWN (a library built on another libcrypto). */
  readonly awsLc: string;
  /** `aws-crt 1.33.2` when it is a file of the pinned package, else VERSION_UNKNOWN. */
  readonly source: string;
  /** As `process.arch` spells it; null for a machine Tollgate does not run on. */
  readonly machine: 'x64' | 'arm64' | null;
  /** Functions of the manifest that the file does not export, sorted. Empty when Tollgate can use it. */
  readonly missing: readonly string[];
}

interface Recorded {
  readonly source: string;
  readonly s2n: string;
}

/**
 * Evidence for s2n 1.7.10 in aws-crt 1.33.2: awslabs/aws-crt-nodejs pull request 739, whose submodule list takes s2n from v1.7.6 to
 * v1.7.10 and aws-lc from v5.4.0 to v5.9.0, three days before the package was published; the files say "AWS-LC 5.9.0"; and the source
 * lines that s2n's errors name in them fit no tag up to v1.7.7.
 */
const AWS_CRT_1_33_2: Recorded = Object.freeze({ source: 'aws-crt 1.33.2', s2n: '1.7.10' });

/** By SHA-256 of the file: a path or a package.json can say anything. */
const RECORDED: ReadonlyMap<string, Recorded> = new Map([
  // linux-arm64-glibc
  ['9a82e73ae91016adb50bbbf5d7d2c5b747b753805741903dcd28e4d82a7f834c', AWS_CRT_1_33_2],
  // linux-arm64-musl
  ['92aa7e06ba2cf917b7d2f8360d5a77aa94c082d3f65a3bda73588cec287603f0', AWS_CRT_1_33_2],
  // linux-x64-glibc
  ['6d1016375101e2f40f4fa764e3c70ec7efdbc62c35db03d8341bb7281e48ee65', AWS_CRT_1_33_2],
  // linux-x64-musl
  ['06d86349ee4d9e34604d6c0fcd35c5c3518c28ed1057af47d895c733e5198ea9', AWS_CRT_1_33_2],
]);

/**
 * Reads the library at `path`. Cold: it reads the whole file (20 ms), and belongs in `check` and `version`, never in a worker.
 *
 * Throws TollgateError `tls_library_unreadable` when the file cannot be read, `tls_library_not_elf` when it is no ELF shared object.
 */
export function libraryVersions(path: string): LibraryVersions {
  const file = readLibrary(path);
  let exports: ReturnType<typeof readElfExports>;
  try {
    exports = readElfExports(file);
  } catch (cause) {
    throw new TollgateError('tls_library_not_elf', `the TLS library ${path} cannot be used: ${messageOf(cause)}`, cause);
  }
  const recorded = RECORDED.get(createHash('sha256').update(file).digest('hex'));
  return {
    s2n: recorded?.s2n ?? VERSION_UNKNOWN,
    awsLc: awsLcVersion(file),
    source: recorded?.source ?? VERSION_UNKNOWN,
    machine: exports.machine,
    missing: Object.keys(S2N_SYMBOLS)
      .filter((name) => !exports.functions.has(name))
      .sort(),
  };
}

function readLibrary(path: string): Buffer {
  try {
    const stat = statSync(path);
    // A pipe or a device would block, or never end.
    if (!stat.isFile()) throw new Error('not a regular file');
    if (stat.size > LIBRARY_BYTES_MAX) throw new Error(`larger than ${LIBRARY_BYTES_MAX} bytes`);
    return readFileSync(path);
  } catch (cause) {
    throw new TollgateError('tls_library_unreadable', `the TLS library ${path} cannot be read: ${messageOf(cause)}`, cause);
  }
}

const AWS_LC = Buffer.from('AWS-LC ');
/** Room for `major.minor.patch` and the NUL after it. */
const AWS_LC_VERSION_BYTES_MAX = 24;

/** AWS-LC's OPENSSL_VERSION_TEXT: the C string "AWS-LC x.y.z" ("AWS-LC FIPS x.y.z" in a FIPS build). */
function awsLcVersion(file: Buffer): string {
  for (let at = file.indexOf(AWS_LC); at >= 0; at = file.indexOf(AWS_LC, at + AWS_LC.length)) {
    const text = file.toString('latin1', at + AWS_LC.length, at + AWS_LC.length + AWS_LC_VERSION_BYTES_MAX);
    const version = /^(?:FIPS )?(\d+\.\d+\.\d+)\0/.exec(text);
    if (version !== null) return version[1]!;
  }
  return VERSION_UNKNOWN;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
