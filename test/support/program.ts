/** A program that listens on a port, in a directory of its own, ended with the test. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testPort } from './test-port.ts';
import { until } from './tollgate.ts';

/** A test, or a file of them. */
export interface Ending {
  after(end: () => Promise<void>): void;
}

const READY_MS = 20_000;
const END_MS = 5_000;

/** So many ports that nobody listens on. */
export async function ports(count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) found.push(await testPort());
  return found;
}

/** Runs what `commandOf` says once it has written its files into `directory`, which is the program's home; ready when `port` is. Ended with `t`. */
export async function startProgram(t: Ending, port: number, commandOf: (directory: string) => readonly string[]): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-program-'));
  const [command = '', ...args] = commandOf(directory);
  let output = '';
  const env = { ...process.env, HOME: directory, XDG_CONFIG_HOME: directory, XDG_DATA_HOME: directory };
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env, cwd: directory });
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      output += String(data);
    });
  }
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), END_MS);
      await gone;
      clearTimeout(late);
    }
    rmSync(directory, { recursive: true, force: true });
  });
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}: ${output.slice(-500)}`);
    return await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(socket.destroy() !== undefined));
      socket.once('error', () => resolve(false));
    });
  }, READY_MS);
}
