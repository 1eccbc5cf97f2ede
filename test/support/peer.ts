/** nginx and HAProxy as proxies with a configuration of the test's own, to be ended before Tollgate takes their ports. */
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import { until } from './tollgate.ts';

export interface Peer {
  /** Ends it, and waits until it is gone. */
  end(): Promise<void>;
}

/** Starts `command` and waits until somebody listens on every one of `ports`. Ended when the test is, at the latest. */
export async function startPeer(test: TestContext, command: string, args: readonly string[], ports: readonly number[]): Promise<Peer> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      output += String(data);
    });
  }
  const end = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await gone;
    clearTimeout(late);
  };
  test.after(end);
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}: ${output.slice(-1_000)}`);
    return (await Promise.all(ports.map(listens))).every((each) => each);
  }, 20_000);
  return { end };
}

async function listens(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
