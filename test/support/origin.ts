/** Servers behind Tollgate: one of ours whose every answer is scripted, raw ones for what no library would send, and a real nginx. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { testPort } from './test-port.ts';
import { until } from './tollgate.ts';

export interface Origin {
  readonly port: number;
  readonly server: Server;
  /** Requests that arrived, in order. */
  readonly requests: IncomingMessage[];
}

export async function httpOrigin(test: TestContext, answer: RequestListener, port = 0): Promise<Origin> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    answer(request, response);
  });
  server.keepAliveTimeout = 0;
  await listen(server, port);
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: portOf(server), server, requests };
}

/** A server that speaks bytes. `serve` gets each connection; `heard` is what each one has said. */
export async function rawOrigin(
  test: TestContext,
  serve: (socket: Socket, index: number) => void,
): Promise<{ port: number; heard: string[]; sockets: Socket[] }> {
  const heard: string[] = [];
  const sockets: Socket[] = [];
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    const index = sockets.length;
    sockets.push(socket);
    heard.push('');
    socket.on('data', (data) => {
      heard[index] += data.toString('latin1');
    });
    socket.on('error', () => {});
    serve(socket, index);
  });
  await listen(server, 0);
  test.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: portOf(server), heard, sockets };
}

async function listen(server: Server | TcpServer, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
}

function portOf(server: Server | TcpServer): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A real nginx that serves `locations` (the inside of its server block) and what `files` holds. */
export async function nginxOrigin(test: TestContext, locations: string, files: Readonly<Record<string, Buffer>> = {}): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-nginx-'));
  const port = await testPort();
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(directory, name), bytes);
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((each) => `${each}_temp_path ${directory}/${each};`).join(' ');
  writeFileSync(
    join(directory, 'nginx.conf'),
    `daemon off; worker_processes 1; pid ${directory}/pid; error_log ${directory}/error.log; ${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 4096; }
http { ${temp} access_log off; client_max_body_size 0; root ${directory}; server { listen 127.0.0.1:${port}; ${locations} } }
`,
  );
  const child: ChildProcess = spawn('nginx', ['-p', directory, '-e', join(directory, 'error.log'), '-c', join(directory, 'nginx.conf')], {
    stdio: 'ignore',
  });
  test.after(async () => {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null) {
      child.kill('SIGTERM');
      await gone;
    }
    rmSync(directory, { recursive: true, force: true });
  });
  await until(
    async () =>
      await fetch(`http://127.0.0.1:${port}/`).then(
        () => true,
        () => false,
      ),
  );
  return port;
}
