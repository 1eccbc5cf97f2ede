/** Clients that people have, made to ask for what a test wants: each with its own TLS library, told which version to speak where it can be. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, type SecureVersion } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface Job {
  readonly port: number;
  readonly path: string;
  readonly version: '1.2' | '1.3';
  /** Connections, one behind the other; a client that can resumes the session of the one before. */
  readonly times: number;
  /** Whether it shows its certificate. */
  readonly certificate: boolean;
}

export interface RealClient {
  readonly name: string;
  /** Whether it offers a group with ML-KEM. */
  readonly postQuantum: boolean;
  /** Versions whose sessions it resumes when it is told to. */
  readonly resumes: readonly Job['version'][];
  /** Whether each job had its answers, in order. */
  run(jobs: readonly Job[]): Promise<boolean[]>;
}

/** Files of a test: PEM, and PKCS #12 for Java. */
export interface ClientFiles {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
  readonly pkcs12: string;
}

const HERE = fileURLToPath(new URL('.', import.meta.url));
const RUN_MS_MAX = 120_000;
const execute = promisify(execFile);

export function realClients(files: ClientFiles): readonly RealClient[] {
  return [curl(files), opensslClient(files), gnutls(files), python(files), java(files), node(files)];
}

/** One process for each job. */
function oneByOne(run: (job: Job) => Promise<boolean>): RealClient['run'] {
  return async (jobs) => {
    const served: boolean[] = [];
    for (const job of jobs) served.push(await run(job));
    return served;
  };
}

function curl({ authority, certificate, key }: ClientFiles): RealClient {
  const run = oneByOne(async ({ port, path, version, times, certificate: shows }) => {
    const urls = Array.from({ length: times }, () => `https://localhost:${port}${path}`);
    const options = ['-sS', '--fail', '--max-time', '30', '--cacert', authority, '-H', 'Connection: close', '-o', '/dev/null'];
    const own = shows ? ['--cert', certificate, '--key', key] : [];
    const args = [...options, ...own, `--tlsv${version}`, '--tls-max', version, ...urls];
    return await execute('curl', args).then(
      () => true,
      () => false,
    );
  });
  // It asks for no tickets of TLS 1.2, and a server without a cache of sessions has nothing else.
  return { name: 'curl', postQuantum: false, resumes: ['1.3'], run };
}

/** Says `text` to a program, and waits for its end: the server ends the connection, and that ends the program. */
async function converse(command: string, args: readonly string[], text: string): Promise<boolean> {
  const child: ChildProcess = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'], timeout: RUN_MS_MAX });
  let output = '';
  child.stdout!.on('data', (data) => {
    output += String(data);
  });
  child.stdin!.on('error', () => {});
  child.stdin!.write(text);
  await new Promise((resolve) => child.once('close', resolve));
  return output.includes('HTTP/1.1 200');
}

function headOf({ port, path }: Job): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: close\r\n\r\n`;
}

function opensslClient({ authority, certificate, key }: ClientFiles): RealClient {
  const run = oneByOne(async (job) => {
    const { port, version, times, certificate: shows } = job;
    const directory = mkdtempSync(join(tmpdir(), 'tollgate-session-'));
    const session = join(directory, 'session.pem');
    const usual = ['s_client', '-quiet', '-connect', `127.0.0.1:${port}`, '-servername', 'localhost', '-verify_return_error'];
    const own = [...(shows ? ['-cert', certificate, '-key', key] : []), `-tls${version.replace('.', '_')}`, '-CAfile', authority];
    let served = true;
    for (let n = 0; n < times; n++) {
      const kept = times === 1 ? [] : n === 0 ? ['-sess_out', session] : ['-sess_in', session];
      served = (await converse('openssl', [...usual, ...own, ...kept], headOf(job))) && served;
    }
    rmSync(directory, { recursive: true });
    return served;
  });
  return { name: 'openssl', postQuantum: false, resumes: ['1.2', '1.3'], run };
}

function gnutls({ authority, certificate, key }: ClientFiles): RealClient {
  const run = oneByOne(async (job) => {
    const { port, version, times, certificate: shows } = job;
    const usual = ['--x509cafile', authority, '--priority', `NORMAL:-VERS-ALL:+VERS-TLS${version}`, '-p', String(port), 'localhost'];
    const own = [...(shows ? ['--x509certfile', certificate, '--x509keyfile', key] : []), ...(times > 1 ? ['--resume'] : [])];
    return await converse('gnutls-cli', [...own, ...usual], headOf(job));
  });
  // Its first connection says nothing: of TLS 1.3 it has no ticket by then.
  return { name: 'gnutls', postQuantum: false, resumes: ['1.2'], run };
}

function python({ authority, certificate, key }: ClientFiles): RealClient {
  const run = async (jobs: readonly Job[]): Promise<boolean[]> =>
    JSON.parse(
      execFileSync('python3', [join(HERE, 'get.py'), authority, certificate, key], {
        input: JSON.stringify(jobs),
        encoding: 'utf8',
        timeout: RUN_MS_MAX,
      }),
    ) as boolean[];
  return { name: 'python', postQuantum: false, resumes: ['1.2', '1.3'], run };
}

function java({ authority, pkcs12 }: ClientFiles): RealClient {
  const run = async (jobs: readonly Job[]): Promise<boolean[]> => {
    const told = jobs.map(({ port, path, version, times, certificate }) =>
      [`https://localhost:${port}${path}`, version, times, certificate].join(','),
    );
    const { stdout } = await execute('java', [join(HERE, 'Get.java'), authority, pkcs12, ...told], { timeout: RUN_MS_MAX });
    return JSON.parse(stdout) as boolean[];
  };
  return { name: 'java', postQuantum: false, resumes: ['1.2', '1.3'], run };
}

/** Node's OpenSSL is newer than Debian's. */
function node({ authority, certificate, key }: ClientFiles): RealClient {
  const run = oneByOne(async ({ port, path, version, times, certificate: shows }) => {
    const protocol: SecureVersion = `TLSv${version}`;
    const secureContext = createSecureContext({
      ca: readFileSync(authority),
      ...(shows ? { cert: readFileSync(certificate), key: readFileSync(key) } : {}),
      minVersion: protocol,
      maxVersion: protocol,
    });
    let session: Buffer | undefined;
    const get = (): Promise<boolean> =>
      new Promise((resolve) => {
        const options = { port, path, host: 'localhost', agent: false as const, secureContext, session };
        const asked = request(options, (response) => response.resume().once('end', () => resolve(response.statusCode === 200)));
        asked.once('socket', (socket) => socket.on('session', (each: Buffer) => (session = each)));
        asked.once('error', () => resolve(false)).end();
      });
    let served = true;
    for (let n = 0; n < times; n++) served = (await get()) && served;
    return served;
  });
  return { name: 'node', postQuantum: true, resumes: ['1.2', '1.3'], run };
}

/** Chromium, in a home of its own where `authority` is trusted. Gives the page as it stands once all frames in it have been loaded. */
export async function chromium(authority: string, url: string): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'tollgate-chromium-'));
  try {
    const database = `sql:${join(home, '.pki/nssdb')}`;
    mkdirSync(join(home, '.pki/nssdb'), { recursive: true });
    execFileSync('certutil', ['-d', database, '-N', '--empty-password'], { stdio: 'pipe' });
    execFileSync('certutil', ['-d', database, '-A', '-t', 'C,,', '-n', 'test', '-i', authority], { stdio: 'pipe' });
    // Nobody outside is to be asked anything.
    const quiet = ['--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-gpu'];
    const hosts = '--host-resolver-rules=MAP localhost 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1';
    const args = ['--headless', '--no-sandbox', `--user-data-dir=${join(home, 'profile')}`, ...quiet, hosts, '--dump-dom', url];
    const { stdout } = await execute('chromium', args, { env: { ...process.env, HOME: home }, timeout: RUN_MS_MAX });
    return stdout;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
