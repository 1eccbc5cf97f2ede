/**
 * One golden case as a text: what it shows, how its files are made, the files, and what `tollgate check` must say of them.
 *
 *   Durations without units.                  what it shows; lines to the first blank one
 *   @ env WORKERS=3                           how: see `directives` below
 *   -- site.yaml --                           a file; more may follow
 *   timeouts: { idle: 75 }
 *   -- output --                              everything that is said of it, or of `@ check FILE`
 *   site.yaml:1:19: timeouts.idle: found 75, expected ...
 *
 * Certificates of fixed names and dates are in `certs/` (see `makeCertificates`), and libraries in `libraries/`. The clock stands at NOW_MS, names that end in `.test` have an
 * address, and no other has one.
 */
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { checkFile } from '../src/config/check-report.ts';
import { findingText } from '../src/config/findings.ts';
import { type MadeCertificate, makeCertificate, makeRevocationList, type Wishes, writePair } from '../src/config/test-certificates.ts';
import { fastEngineProblem } from '../src/config/tls-engine.ts';
import { OPENSSL_SYMBOLS } from '../src/native/openssl-symbols.ts';
import { FUNC_GLOBAL, sharedObject } from '../src/native/test-shared-object.ts';

export const NOW_MS = Date.UTC(2030, 0, 1);
const NOBODY = 65_534;
const day = (offset: number): Date => new Date(NOW_MS + offset * 86_400_000);

export interface GoldenCase {
  /** Up to the output's line. */
  readonly head: string;
  readonly directives: readonly (readonly [name: string, ...words: string[]])[];
  readonly files: readonly (readonly [name: string, text: string])[];
  readonly output: string;
}

export function readCase(text: string): GoldenCase {
  const [opening = '', ...sections] = text.split(/^-- (.+) --\n/m);
  const files: [string, string][] = [];
  for (let i = 0; i + 1 < sections.length; i += 2) files.push([sections[i]!, sections[i + 1]!]);
  const last = files.at(-1)?.[0] === 'output' ? files.pop()! : null;
  const directives = [...opening.matchAll(/^@ (\S+) ?(.*)$/gm)].map(([, name, rest]): [string, ...string[]] => [
    name!,
    ...rest!.split(' '),
  ]);
  return {
    head: last === null ? text : text.slice(0, text.lastIndexOf('-- output --\n')),
    directives,
    files,
    output: last?.[1] ?? '',
  };
}

export function caseText({ head }: GoldenCase, output: string): string {
  return `${head}-- output --\n${output}`;
}

/** A directory for cases, with their certificates. To be ended. */
export class GoldenGround {
  readonly directory: string;
  readonly certificates: ReadonlyMap<string, MadeCertificate>;
  #next = 0;

  private constructor(directory: string, certificates: ReadonlyMap<string, MadeCertificate>) {
    this.directory = directory;
    this.certificates = certificates;
  }

  static async make(): Promise<GoldenGround> {
    const directory = mkdtempSync(join(tmpdir(), 'tollgate-golden-'));
    // The user `nobody` must come through.
    chmodSync(directory, 0o755);
    makeLibraries(join(directory, 'libraries'));
    return new GoldenGround(directory, await makeCertificates(join(directory, 'certs')));
  }

  end(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Writes the files of a case into a directory of its own, and gives its path. */
  lay({ directives, files }: Pick<GoldenCase, 'directives' | 'files'>): string {
    const directory = join(this.directory, String(this.#next++));
    mkdirSync(directory);
    for (const made of ['certs', 'libraries']) symlinkSync(`../${made}`, join(directory, made));
    const write = (name: string, content: string | Buffer): void => {
      mkdirSync(dirname(join(directory, name)), { recursive: true });
      writeFileSync(join(directory, name), content, { mode: modeOf(name) });
    };
    for (const [name, text] of files) write(name, text);
    for (const [name, file = '', ...words] of directives) {
      const path = join(directory, file);
      if (name === 'mode') chmodSync(path, Number.parseInt(words[0]!, 8));
      else if (name === 'directory') mkdirSync(path, { recursive: true });
      else if (name === 'link') symlinkSync(words[0]!, path);
      else if (name === 'hex') write(file, Buffer.from(words[0]!, 'hex'));
      else if (name === 'repeat') {
        // A text, or with {n} in the file's name or the text a file or line for each.
        const [times = '', ...rest] = words;
        const text = JSON.parse(`"${rest.join(' ')}"`) as string;
        const put = (from: string, n: number): string => from.replaceAll('{n}', String(n)).replaceAll('{n+1}', String(n + 1));
        const all = Array.from({ length: Number(times) }, (_, n) => n);
        if (file.includes('{n}')) for (const n of all) write(put(file, n), put(text, n));
        else writeFileSync(path, all.map((n) => put(text, n)).join(''), { flag: 'a', mode: modeOf(file) });
      } else if (!['env', 'user', 'check', 'root', 's2n', 'authorities'].includes(name)) throw new Error(`no directive is named ${name}`);
    }
    return directory;
  }

  /** What is said of `case`, a finding a line. */
  async outcome(given: GoldenCase): Promise<string> {
    // What only root can see is looked at where root is.
    if (given.directives.some(([name]) => name === 'root') && process.geteuid!() !== 0) return given.output;
    const directory = this.lay(given);
    const of = (wanted: string): string[] => given.directives.flatMap(([name, ...words]) => (name === wanted ? [words.join(' ')] : []));
    const env = Object.fromEntries(of('env').map((each) => [each.slice(0, each.indexOf('=')), each.slice(each.indexOf('=') + 1)]));
    const file = join(directory, of('check')[0] ?? 'site.yaml');
    // `@ s2n FILE`: the library of the fast engine, in place of the one that is pinned.
    const [s2n] = of('s2n');
    const engine = s2n === undefined ? {} : { fastEngineProblem: () => fastEngineProblem(() => join(directory, s2n)) };
    // `@ authorities FILE`: what the machine trusts, or `none`.
    const [authorities = 'certs/root.pem'] = of('authorities');
    const machineAuthorities = (): string | null => (authorities === 'none' ? null : join(directory, authorities));
    const options = { nowMs: NOW_MS, ipv6: true, resolve, env, machineAuthorities, ...engine };
    const report = await asUser(of('user').length > 0, () => checkFile(file, options));
    const lines = [...report.errors, ...report.warnings, ...report.notes].map(findingText);
    return lines.map((line) => `${this.plain(line, directory)}\n`).join('');
  }

  plain(text: string, directory: string): string {
    return text
      .replaceAll(`${directory}/`, '')
      .replaceAll(directory, '.')
      .replaceAll(`${this.directory}/`, '/')
      .replaceAll(/\(uid \d+\)/g, '(uid UID)');
  }
}

/** Configurations are for everybody; what they name has secrets in it. */
function modeOf(name: string): number {
  return /\.(yaml|inc|m?ts)$/.test(name) ? 0o644 : 0o640;
}

async function resolve(host: string): Promise<readonly { readonly address: string; readonly family: 4 }[]> {
  if (host.endsWith('.test')) return [{ address: '192.0.2.9', family: 4 }];
  throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' });
}

/** Root opens what it likes: as `nobody`, files that are closed are. */
async function asUser<Result>(wanted: boolean, work: () => Promise<Result>): Promise<Result> {
  if (!wanted || process.geteuid!() !== 0) return await work();
  const gid = process.getegid!();
  process.setegid!(NOBODY);
  process.seteuid!(NOBODY);
  try {
    return await work();
  } finally {
    process.seteuid!(0);
    process.setegid!(gid);
  }
}

/** Every kind of certificate that a file may meet, by name: `shop` is a leaf with its issuer behind it and nothing wrong. */
async function makeCertificates(directory: string): Promise<ReadonlyMap<string, MadeCertificate>> {
  const made = new Map<string, MadeCertificate>();
  const span = { notBefore: day(-30), notAfter: day(60) };
  const make = async (name: string, wishes: Wishes): Promise<MadeCertificate> => {
    const certificate = await makeCertificate({ ...span, ...wishes });
    made.set(name, certificate);
    return certificate;
  };
  const root = await make('root', { commonName: 'Test root', authority: true });
  const issuer = await make('issuer', { commonName: 'Test issuer', authority: true, issuer: root });
  const old = await make('old-issuer', { commonName: 'Old issuer', authority: true, issuer: root, notBefore: day(-90), notAfter: day(-1) });
  const young = await make('young-issuer', {
    commonName: 'Young issuer',
    authority: true,
    issuer: root,
    notBefore: day(1),
    notAfter: day(90),
  });
  const shop = await make('shop', { names: ['shop.example.com', '*.shop.example.com'], issuer });
  const other = await make('other', { names: ['other.example.com'], issuer });
  const write = (name: string, leaf: MadeCertificate, ...chain: readonly MadeCertificate[]): void =>
    writePair(directory, name, leaf, chain);
  write('shop', shop, issuer);
  write('other', other, issuer);
  write('blog', await make('blog', { names: ['blog.example.com'], issuer, key: 'rsa' }), issuer);
  write('spare', await make('spare', { names: ['shop.example.com'], issuer }), issuer);
  write('live/shop', shop, issuer);
  writeFileSync(join(directory, 'both.pem'), `${other.certificatePem}${issuer.certificatePem}${other.keyPem}`, { mode: 0o600 });
  write('leaf-only', shop);
  write('whole', shop, issuer, root);
  write('muddled', shop, root, issuer);
  write('backwards', issuer, shop);
  writeFileSync(join(directory, 'backwards.key'), shop.keyPem, { mode: 0o600 });
  write('extra', shop, issuer, other);
  write('twice', shop, issuer, shop);
  write('public', await make('public', { names: ['shop.example.com'], issuer, issuersAt: 'http://ca.example/issuer.der' }));
  write('old-chain', await make('old-chain', { names: ['shop.example.com'], issuer: old }), old);
  write('young-chain', await make('young-chain', { names: ['shop.example.com'], issuer: young }), young);
  write('self', await make('self', { names: ['shop.example.com'] }));
  write('nameless', await make('nameless', { commonName: 'The shop', issuer }), issuer);
  write('expired', await make('expired', { names: ['shop.example.com'], issuer, notBefore: day(-60), notAfter: day(-1) }), issuer);
  write('early', await make('early', { names: ['shop.example.com'], issuer, notBefore: day(1) }), issuer);
  write('ends', await make('ends', { names: ['shop.example.com'], issuer, notBefore: day(-60), notAfter: day(5) }), issuer);
  write('server-only', await make('server-only', { names: ['shop.example.com'], issuer, forServers: true }), issuer);
  write('weak', await make('weak', { names: ['shop.example.com'], issuer, key: 'rsa-1024' }), issuer);
  write(
    'stapled',
    await make('stapled', { names: ['shop.example.com'], issuer, mustStaple: true, responderAt: 'http://ocsp.example' }),
    issuer,
  );
  write('stapled-alone', made.get('stapled')!);
  write('stapled-unasked', await make('stapled-unasked', { names: ['blog.example.com'], issuer, mustStaple: true }), issuer);
  const put = (name: string, content: string | Buffer, mode = 0o600): void => {
    writeFileSync(join(directory, name), content);
    chmodSync(join(directory, name), mode);
  };
  put('root.pem', root.certificatePem);
  put('clients.pem', issuer.certificatePem);
  put('old-clients.pem', old.certificatePem);
  put('clients.crl', await makeRevocationList(issuer, day(-1), day(6), ['1001']));
  put('ended.crl', await makeRevocationList(issuer, day(-9), day(-2)));
  put('of-others.crl', await makeRevocationList(root, day(-1), day(6)));
  put('sealed.key', shop.key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }).toString());
  put('public-to-all.key', shop.keyPem, 0o644);
  put('der.pem', Buffer.from(shop.certificate.rawData));
  put('der.key', shop.key.export({ type: 'pkcs8', format: 'der' }));
  put('cut.pem', shop.certificatePem.slice(0, 200));
  put('cut.key', shop.keyPem.slice(0, 80));
  put('damaged.pem', shop.certificatePem.replace(/\n[^-]{40}/, '\n'));
  put('damaged.key', shop.keyPem.replace(/\n[^-]{40}/, '\n'));
  put('two.key', shop.keyPem + other.keyPem);
  put('seventeen.pem', shop.certificatePem.repeat(17));
  put('ed25519.key', ED25519_KEY);
  put('curve.key', generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  chmodSync(directory, 0o755);
  return made;
}

/** What is looked at before a library is loaded: of which machine it is, and which functions it has. */
function makeLibraries(directory: string): void {
  mkdirSync(directory);
  const put = (name: string, functions: readonly string[], machine = process.arch === 'arm64' ? 183 : 62): void => {
    const symbols = functions.map((each) => ({ name: each, info: FUNC_GLOBAL, section: 1 }));
    writeFileSync(join(directory, name), sharedObject(symbols, machine));
  };
  put('libssl.so', Object.keys(OPENSSL_SYMBOLS));
  put('libssl-2.so', Object.keys(OPENSSL_SYMBOLS));
  put('empty.so', []);
  // RISC-V.
  put('other-machine.so', [], 243);
}

/** RFC 8410, section 10.3. */
const ED25519_KEY = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
`;
