/**
 * The texts that stand for passwords in an htpasswd file: which scheme one belongs to, whether it is well formed, and whether checking it
 * stays within bounds. Owns the formats; computes nothing, and never puts a hash into a sentence.
 *
 * Modular crypt format (crypt(5)): bcrypt, sha-crypt, yescrypt. PHC strings: scrypt, argon2id.
 */

/** Longest hash text. Characters. */
export const HASH_CHARACTERS_MAX = 512;
/** Longest password. Bytes. libcrypt takes 511; nobody types more than this, and the work of sha-crypt grows with it. */
export const PASSWORD_BYTES_MAX = 256;
/** Longest user name. Bytes. */
export const USER_BYTES_MAX = 255;
/** Bytes that bcrypt looks at; what comes behind is ignored. */
export const BCRYPT_BYTES_MAX = 72;

/** Schemes that new hashes are made of. `bcrypt` is the one that nginx, Apache and Tollgate all take, on every C library. */
export const NEW_PASSWORD_SCHEMES = Object.freeze(['bcrypt', 'yescrypt', 'scrypt'] as const);
export type NewPasswordScheme = (typeof NEW_PASSWORD_SCHEMES)[number];

/** Highest bcrypt cost: 2^15 rounds take about 2 s. */
const BCRYPT_COST_MAX = 15;
/** What OWASP asks for at least. `htpasswd -B` makes 5 unless told otherwise. */
const BCRYPT_COST_FAIR = 10;
/** Without `rounds=` sha-crypt makes 5,000. */
const SHA_ROUNDS_MIN = 1_000;
const SHA_ROUNDS_MAX = 5_000_000;
/** Memory that one check may take. Bytes. */
const MEMORY_BYTES_MAX = 256 * 1024 * 1024;
/** Passes over that memory. */
const PASSES_MAX = 16;
const LANES_MAX = 16;
/** Salt and result of a PHC string, decoded. Bytes. RFC 9106, section 3.1 asks for 8 of salt at least. */
const SALT_BYTES_MIN = 8;
const SALT_BYTES_MAX = 64;
const TAG_BYTES_MIN = 16;
const TAG_BYTES_MAX = 64;

/** `crypt`: the whole text is the setting that libcrypt's crypt_r takes, and its result is the text again. */
export interface CryptHash {
  readonly scheme: 'bcrypt' | 'sha256-crypt' | 'sha512-crypt' | 'yescrypt';
  readonly text: string;
  readonly warning?: string;
}

/** RFC 7914. */
export interface ScryptHash {
  readonly scheme: 'scrypt';
  readonly text: string;
  /** The CPU and memory cost, a power of two. */
  readonly n: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Buffer;
  readonly tag: Buffer;
  readonly warning?: string;
}

/** RFC 9106, version 0x13. */
export interface Argon2Hash {
  readonly scheme: 'argon2id';
  readonly text: string;
  readonly memoryKiB: number;
  readonly passes: number;
  readonly lanes: number;
  readonly salt: Buffer;
  readonly tag: Buffer;
  readonly warning?: string;
}

export type PasswordHash = CryptHash | ScryptHash | Argon2Hash;

const REMAKE = "make a new one with 'tollgate password'";
/** The alphabet of crypt(3), in the order of its values. */
const CRYPT_ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** The hash that `text` is, or one sentence (without subject's name, nothing quoted but a scheme) that says why it is none we take. */
export function parsePasswordHash(text: string): PasswordHash | string {
  if (text.length > HASH_CHARACTERS_MAX) return `the hash is longer than ${HASH_CHARACTERS_MAX} characters`;
  const scheme = /^\$([a-z0-9-]{1,16})\$/i.exec(text)?.[1] ?? '';
  switch (scheme) {
    case '2a':
    case '2b':
    case '2y':
      return parseBcrypt(text);
    case '5':
      return parseSha(text, 'sha256-crypt', 43);
    case '6':
      return parseSha(text, 'sha512-crypt', 86);
    case 'y':
      return parseYescrypt(text);
    case 'scrypt':
      return parseScrypt(text);
    case 'argon2id':
      return parseArgon2(text);
    default:
      return refusal(text, scheme);
  }
}

/** Which weak or unknown thing it is, by name, and what to do. */
function refusal(text: string, scheme: string): string {
  if (scheme === 'apr1') return `apr1 (Apache's MD5, the default of old htpasswd) is too weak: ${REMAKE}, or with 'htpasswd -B -C 12'`;
  if (scheme === '1') return `md5-crypt ($1$) is too weak: ${REMAKE}`;
  if (scheme === '2' || scheme === '2x') return `bcrypt of the faulty kind $${scheme}$ is not taken: ${REMAKE}`;
  if (scheme === 'argon2i' || scheme === 'argon2d') return `${scheme} is not taken, only argon2id (RFC 9106, section 4): ${REMAKE}`;
  if (scheme !== '') return `the scheme $${scheme}$ is not known; taken are $2y$, $5$, $6$, $y$, $scrypt$ and $argon2id$: ${REMAKE}`;
  const label = /^\{([A-Za-z0-9-]{1,16})\}/.exec(text)?.[1];
  if (label?.toUpperCase() === 'PLAIN') return `a password in plain text is not taken: ${REMAKE}`;
  if (label !== undefined) return `{${label}} is too weak, being one round of a fast hash: ${REMAKE}`;
  if (text === '') return `there is no hash: ${REMAKE}`;
  if (/^[*!]/.test(text)) return 'the account is locked; leave the line out';
  // What crypt(3) made in 1979 looks as any text of 13 letters does.
  return `a password in plain text, or one of DES crypt, is not taken: ${REMAKE}`;
}

function parseBcrypt(text: string): CryptHash | string {
  const cost = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(text)?.[1];
  if (cost === undefined) return 'the bcrypt hash is malformed or cut short';
  if (Number(cost) < 4) return 'the bcrypt cost is below 4, which bcrypt does not have';
  if (Number(cost) > BCRYPT_COST_MAX)
    return `the bcrypt cost is ${Number(cost)}, and ${BCRYPT_COST_MAX} at most is taken: each step doubles the time`;
  if (Number(cost) >= BCRYPT_COST_FAIR) return { scheme: 'bcrypt', text };
  return {
    scheme: 'bcrypt',
    text,
    warning: `the bcrypt cost is ${Number(cost)}; ${BCRYPT_COST_FAIR} at least is advised (htpasswd -B -C 12)`,
  };
}

function parseSha(text: string, scheme: 'sha256-crypt' | 'sha512-crypt', length: number): CryptHash | string {
  const match = /^\$[56]\$(?:rounds=([1-9]\d{0,9})\$)?[./A-Za-z0-9]{1,16}\$([./A-Za-z0-9]+)$/.exec(text);
  if (match === null || match[2]!.length !== length) return `the ${scheme} hash is malformed or cut short`;
  const rounds = Number(match[1] ?? 5_000);
  if (rounds < SHA_ROUNDS_MIN || rounds > SHA_ROUNDS_MAX)
    return `the ${scheme} hash has ${rounds} rounds; from ${SHA_ROUNDS_MIN} to ${SHA_ROUNDS_MAX} are taken`;
  return { scheme, text };
}

/** `$y$` flags N r [more] `$` salt `$` hash; N and r are one letter each in every hash a libcrypt makes. */
function parseYescrypt(text: string): CryptHash | string {
  const match = /^\$y\$j([./0-9A-Za-j])([./0-9A-Za-j])\$[./A-Za-z0-9]{1,86}\$[./A-Za-z0-9]{43}$/.exec(text);
  if (match === null) return 'the yescrypt hash is malformed, cut short, or has parameters that are not taken';
  const bytes = 128 * (CRYPT_ALPHABET.indexOf(match[2]!) + 1) * 2 ** (CRYPT_ALPHABET.indexOf(match[1]!) + 1);
  return bytes > MEMORY_BYTES_MAX ? tooMuchMemory('yescrypt', bytes) : { scheme: 'yescrypt', text };
}

function parseScrypt(text: string): ScryptHash | string {
  const match = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(text);
  const ends = match === null ? undefined : saltAndTag(match[4]!, match[5]!);
  if (match === null || ends === undefined) return 'the scrypt hash is malformed or cut short';
  const [ln, r, p] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (ln < 1 || r < 1 || p < 1 || p > LANES_MAX) return 'the scrypt hash has parameters that are not taken';
  // RFC 7914, section 2: N < 2^(128 * r / 8) holds for every N within the memory bound.
  const bytes = 128 * r * 2 ** ln;
  if (bytes > MEMORY_BYTES_MAX) return tooMuchMemory('scrypt', bytes);
  return { scheme: 'scrypt', text, n: 2 ** ln, r, p, ...ends };
}

function parseArgon2(text: string): Argon2Hash | string {
  const match = /^\$argon2id\$(?:v=(\d{1,3})\$)?m=(\d{1,9}),t=(\d{1,5}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(text);
  const ends = match === null ? undefined : saltAndTag(match[5]!, match[6]!);
  if (match === null || ends === undefined) return 'the argon2id hash is malformed or cut short';
  if (match[1] !== '19') return 'the argon2id hash is not of version 19 (0x13)';
  const [memoryKiB, passes, lanes] = [Number(match[2]), Number(match[3]), Number(match[4])];
  if (passes < 1 || passes > PASSES_MAX || lanes < 1 || lanes > LANES_MAX || memoryKiB < 8 * lanes)
    return `the argon2id hash has parameters that are not taken (t up to ${PASSES_MAX}, p up to ${LANES_MAX}, m at least 8 times p)`;
  if (memoryKiB * 1_024 > MEMORY_BYTES_MAX) return tooMuchMemory('argon2id', memoryKiB * 1_024);
  return { scheme: 'argon2id', text, memoryKiB, passes, lanes, ...ends };
}

function tooMuchMemory(scheme: string, bytes: number): string {
  return `the ${scheme} hash takes ${Math.ceil(bytes / 1_048_576)} MiB for each check; ${MEMORY_BYTES_MAX / 1_048_576} MiB at most are taken`;
}

function saltAndTag(saltText: string, tagText: string): { readonly salt: Buffer; readonly tag: Buffer } | undefined {
  const salt = Buffer.from(saltText, 'base64');
  const tag = Buffer.from(tagText, 'base64');
  // Canonical, or else two texts would stand for one hash.
  if (unpadded(salt) !== saltText || unpadded(tag) !== tagText) return undefined;
  if (salt.length < SALT_BYTES_MIN || salt.length > SALT_BYTES_MAX) return undefined;
  return tag.length < TAG_BYTES_MIN || tag.length > TAG_BYTES_MAX ? undefined : { salt, tag };
}

/** Base64 as PHC strings have it, without padding. */
export function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
