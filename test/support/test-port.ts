/**
 * Ports for tests. Several test files run at once, and each looks for free ports some time before it listens: a port is handed out once,
 * over all of them, until the process that asked has ended.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../src/config/free-port.ts';

/** Below what the kernel gives to clients, and beside what the product and the bench prefer. */
const FIRST = 10_000;
const COUNT = 10_000;
const CLAIMS = join(tmpdir(), `tollgate-test-ports-${process.getuid?.() ?? 0}`);

const claimed: string[] = [];
process.once('exit', () => {
  for (const path of claimed) rmSync(path, { force: true });
});

let at = (process.pid * 37) % COUNT;

/** A port on which nobody listens, and nobody else here is about to. */
export async function testPort(): Promise<number> {
  mkdirSync(CLAIMS, { recursive: true });
  for (let tries = 0; tries < COUNT; tries++) {
    const port = FIRST + at;
    at = (at + 1) % COUNT;
    if (!claim(port)) continue;
    if ((await freePort(port)) === port) return port;
  }
  throw new Error(`no port from ${FIRST} to ${FIRST + COUNT - 1} is free`);
}

function claim(port: number): boolean {
  const path = join(CLAIMS, String(port));
  for (let tries = 0; tries < 2; tries++) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' });
      claimed.push(path);
      return true;
    } catch {
      if (lives(path)) return false;
      rmSync(path, { force: true });
    }
  }
  return false;
}

/** Whether the process whose claim that is runs still. */
function lives(path: string): boolean {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    // Begun, and not written yet.
    if (pid === 0) return true;
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
