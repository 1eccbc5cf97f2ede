/** HAProxy and nginx with a private configuration, ended with the test. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from '../../src/config/free-port.ts';
import { until } from './tollgate.ts';

let nextPort = 35_000 + (process.pid % 500) * 20;

/** So many ports that nobody listens on. */
export async function ports(count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) {
    const port = await freePort(nextPort);
    nextPort = port + 1;
    found.push(port);
  }
  return found;
}

async function start(t: TestContext, port: number, commandOf: (directory: string) => readonly string[]): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-proxy-'));
  const [command = '', ...args] = commandOf(directory);
  let output = '';
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: directory });
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      output += String(data);
    });
  }
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
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
  }, 20_000);
}

/** `sections` behind a few defaults of mode tcp; ready when `port` is. */
export async function haproxy(t: TestContext, port: number, sections: string): Promise<void> {
  await start(t, port, (directory) => {
    const config = join(directory, 'haproxy.cfg');
    writeFileSync(
      config,
      `global
  nbthread 1
  maxconn 500
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
${sections}`,
    );
    return ['haproxy', '-db', '-f', config];
  });
}

/** Where Debian puts nginx's module for streams. */
const STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';

/** nginx with the inside of its `stream` and `http` blocks; ready when `port` is. */
export async function nginx(t: TestContext, port: number, { stream = '', http = '' }: { stream?: string; http?: string }): Promise<void> {
  if (!existsSync(STREAM_MODULE)) throw new Error('the tests need nginx with streams: apt-get install libnginx-mod-stream');
  await start(t, port, (directory) => {
    const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((each) => `${each}_temp_path ${directory}/${each};`).join(' ');
    const config = join(directory, 'nginx.conf');
    writeFileSync(
      config,
      `load_module ${STREAM_MODULE};
daemon off; worker_processes 1; pid ${directory}/pid; error_log ${directory}/error.log; ${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 512; }
stream { ${stream} }
http { ${temp} access_log off; ${http} }
`,
    );
    return ['nginx', '-p', directory, '-e', join(directory, 'error.log'), '-c', config];
  });
}
