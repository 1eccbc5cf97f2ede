/** Secrets of handshakes on demand, through the real program: what is written is what the client itself agreed on, and it ends. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Client } from './support/client.ts';
import { PROGRAM, Tollgate, until } from './support/tollgate.ts';

const run = promisify(execFile);

for (const engine of ['s2n', 'openssl'] as const) {
  test(`${engine}: keylog writes the secrets of one listener for a while, exactly, and says so`, async (t) => {
    const tollgate = await Tollgate.start(t, { to: 1, tls: `engine: ${engine}`, workers: 2 });
    const keylog = async (...args: readonly string[]): Promise<string> => {
      const words = [PROGRAM, 'keylog', '--runtime', join(tollgate.directory, 'run'), ...args];
      return await run(process.execPath, words).then(
        ({ stdout }) => stdout,
        (error: { stderr: string }) => error.stderr,
      );
    };
    /** Lines of one connection as the client has them. */
    const visit = async (maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<string[]> => {
      const client = new Client(tollgate.port, { maxVersion });
      const lines: string[] = [];
      client.socket.on('keylog', (line: Buffer) => lines.push(line.toString('latin1').trim()));
      await client.open();
      // Its last word of the handshake has to get there.
      client.socket.end();
      await client.all();
      return lines;
    };
    const file = join(tollgate.directory, 'keys.txt');
    const written = (): string[] => readFileSync(file, 'latin1').split('\n').filter(Boolean);
    await visit('TLSv1.3');
    if (engine === 's2n') {
      writeFileSync(join(tollgate.directory, 'there'), '');
      assert.match(await keylog('--listener', 'web', '--to', join(tollgate.directory, 'there')), /cannot be made: it exists/);
      assert.match(await keylog('--listener', 'other', '--to', file), /there is no listener 'other'; there are: web/);
      assert.match(await keylog('--listener', 'web', '--to', file, '--for', '2h'), /keys are logged for 1s to 1h/);
      assert.match(await keylog('--listener', 'web'), /name a --listener and a file, --to/);
      assert.match(await keylog('off'), /no keys are logged/);
    }
    assert.ok(!existsSync(file));

    assert.match(await keylog('--listener', 'web', '--to', file, '--for', '1h'), /^keys go to .*keys\.txt for 3600 s\n$/);
    assert.match(await keylog('--listener', 'web', '--to', `${file}2`), /keys of 'web' are logged already/);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal((await tollgate.status()).keyLog?.listener, 'web');
    const exact = async (): Promise<void> => {
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        const lines = await visit(version);
        const random = lines[0]!.split(' ')[1]!;
        // What it takes to read a capture; a secret for exporters is not of it.
        const needed = lines.filter((line) => !line.startsWith('EXPORTER'));
        assert.equal(needed.length, version === 'TLSv1.2' ? 1 : 4);
        const ours = (): string[] => written().filter((line) => line.includes(random));
        await until(() => needed.every((line) => ours().includes(line)));
        for (const line of ours()) assert.ok(lines.includes(line), line.slice(0, 40));
      }
    };
    for (let i = 0; i < 3; i++) await exact();
    // Workers that come later write to it too.
    const before = (await tollgate.status()).workers.map(({ pid }) => pid);
    for (const pid of before) process.kill(pid!, 'SIGKILL');
    await until(async () => (await tollgate.status()).workers.every(({ pid, serves }) => serves && !before.includes(pid)));
    for (let i = 0; i < 3; i++) await exact();

    await keylog('off');
    const bytes = statSync(file).size;
    for (let i = 0; i < 4; i++) await visit('TLSv1.3');
    assert.equal(statSync(file).size, bytes);
    assert.equal((await tollgate.status()).keyLog, null);
    if (engine === 'openssl') {
      // By itself.
      const second = join(tollgate.directory, 'more.txt');
      await keylog('--listener', 'web', '--to', second, '--for', '1s');
      await until(async () => (await tollgate.status()).keyLog === null);
      await visit('TLSv1.3');
      await until(() => tollgate.errors.includes('"why":"its time is over"'));
    }
    const times = engine === 'openssl' ? 2 : 1;
    const told = tollgate.errors.split('\n').filter((line) => line.includes('TLS KEYS ARE LOGGED'));
    assert.equal(told.length, times);
    assert.match(told[0]!, /"author":"[^"]+".*"listener":"web".*"file":/);
    assert.equal(tollgate.errors.split('TLS keys are logged no more').length, times + 1);
    for (const line of written()) assert.ok(!tollgate.errors.includes(line.split(' ')[2]!), 'no secret in the log');
  });
}
