/** `openssl ocsp` as a responder on loopback, and lists of revoked certificates served by http. Both count who asks. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Certificate } from '../../src/x509/certificate.ts';
import type { TestAuthority } from '../../src/x509/test-authority.ts';
import { testPort } from './test-port.ts';
import { until } from './tollgate.ts';

function day(ms: number): string {
  return new Date(ms)
    .toISOString()
    .replace(/[-:T]|\.\d+/g, '')
    .slice(2);
}

/** Serves http on loopback and hands each request to `openssl ocsp`, so that what is revoked may change at any time. */
export class Responder {
  readonly #authority: TestAuthority;
  readonly #directory: string;
  readonly #status = new Map<string, 'V' | 'R'>();
  readonly #minutes: number | null;
  server: Server | null = null;
  port = 0;
  asked = 0;

  constructor(test: TestContext, authority: TestAuthority, minutes: number | null = 1) {
    this.#authority = authority;
    this.#minutes = minutes;
    this.#directory = mkdtempSync(join(tmpdir(), 'tollgate-responder-'));
    test.after(() => {
      this.stop();
      rmSync(this.#directory, { recursive: true, force: true });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  know(certificate: Certificate, revoked = false): void {
    this.#status.set(certificate.serial, revoked ? 'R' : 'V');
  }

  async reserve(): Promise<void> {
    this.port = await testPort();
  }

  async start(): Promise<void> {
    if (this.port === 0) await this.reserve();
    const server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        this.asked++;
        response.setHeader('content-type', 'application/ocsp-response');
        response.end(this.#answer(Buffer.concat(parts)));
      });
    });
    this.server = server;
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
  }

  stop(): void {
    this.server?.closeAllConnections();
    this.server?.close();
    this.server = null;
  }

  #answer(question: Buffer): Buffer {
    const at = (name: string): string => join(this.#directory, name);
    const later = day(Date.now() + 1e10);
    const lines = [...this.#status].map(([serial, status]) => {
      const revoked = status === 'R' ? day(Date.now() - 1e6) : '';
      return `${status}\t${later}\t${revoked}\t${serial.toUpperCase()}\tunknown\t/CN=${serial}\n`;
    });
    writeFileSync(at('index.txt'), lines.join(''));
    writeFileSync(at('ca.pem'), this.#authority.pem);
    writeFileSync(at('ca.key'), this.#authority.keyPem);
    writeFileSync(at('question'), question);
    const signer = ['-rsigner', at('ca.pem'), '-rkey', at('ca.key'), '-CA', at('ca.pem'), '-index', at('index.txt')];
    const validity = this.#minutes === null ? [] : ['-nmin', String(this.#minutes)];
    execFileSync('openssl', ['ocsp', ...signer, ...validity, '-reqin', at('question'), '-respout', at('answer')], { stdio: 'pipe' });
    return readFileSync(at('answer'));
  }
}

/** `openssl ocsp -port`, as it is. */
export async function opensslResponder(
  test: TestContext,
  authority: TestAuthority,
  good: readonly Certificate[],
  port: number,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-responder-'));
  const at = (name: string): string => join(directory, name);
  writeFileSync(at('ca.pem'), authority.pem);
  writeFileSync(at('ca.key'), authority.keyPem);
  writeFileSync(
    at('index.txt'),
    good.map(({ serial }) => `V\t${day(Date.now() + 1e10)}\t\t${serial.toUpperCase()}\tunknown\t/CN=${serial}\n`).join(''),
  );
  const args = [
    'ocsp',
    '-port',
    String(port),
    '-index',
    at('index.txt'),
    '-CA',
    at('ca.pem'),
    '-rsigner',
    at('ca.pem'),
    '-rkey',
    at('ca.key'),
  ];
  const child: ChildProcess = spawn('openssl', [...args, '-nmin', '5'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data) => {
      said += String(data);
    });
  }
  test.after(async () => {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null) {
      child.kill('SIGKILL');
      await gone;
    }
    rmSync(directory, { recursive: true, force: true });
  });
  // It serves one after the other: a look whether it is there would be a client too.
  await until(() => said.includes('ACCEPT') || said.includes('waiting'));
}
