/** A running Tollgate whose configuration file is changed, and an origin to stand behind it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { rawOrigin } from './origin.ts';
import { PROGRAM, Tollgate, until } from './tollgate.ts';

/** The configuration file of a running Tollgate, and how it is changed. */
export class Site {
  readonly tollgate: Tollgate;

  constructor(tollgate: Tollgate) {
    this.tollgate = tollgate;
  }

  get path(): string {
    return `${this.tollgate.directory}/tollgate.yaml`;
  }

  get text(): string {
    return readFileSync(this.path, 'utf8');
  }

  write(text: string): void {
    writeFileSync(this.path, text);
  }

  replace(from: string | RegExp, to: string): void {
    const { text } = this;
    const changed = text.replace(from, to);
    assert.notEqual(changed, text, `${from} is in the file`);
    this.write(changed);
  }

  /** A command's standard output; throws what it says when it fails. */
  async run(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.attempt(...args);
    if (status !== 0) throw new Error(stderr);
    return stdout;
  }

  /** The clients of this process go on meanwhile. */
  async attempt(...args: readonly string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
    const child = spawn(process.execPath, [PROGRAM, ...args, '--runtime', `${this.tollgate.directory}/run`], { timeout: 100_000 });
    const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { status, stdout, stderr };
  }
}

/** An origin that answers `ok`, and echoes for who upgrades. It ends when its client does, as servers do. */
export async function echoOrigin(t: TestContext) {
  return await rawOrigin(t, (socket) => {
    let tunnel = false;
    socket.on('data', (data: Buffer) => {
      if (tunnel) socket.write(data);
      else if (String(data).includes('Upgrade: echo')) {
        tunnel = true;
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
      } else {
        // Requests come one at a time here.
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      }
    });
    socket.on('end', () => socket.end());
    socket.on('error', () => {});
  });
}

/** Serves with all its workers. */
export async function startSite(t: TestContext, port: number, workers = 2, extra = ''): Promise<Site> {
  const tollgate = await Tollgate.start(t, { to: port, workers, extra });
  await until(async () => (await tollgate.status()).workers.every(({ serves }) => serves));
  return new Site(tollgate);
}
