/**
 * The programs that the strictness table compares, each as a plain HTTP gateway in front of one server: Tollgate, Debian's nginx, HAProxy.
 * Owns their configuration, in nothing stricter or laxer than their defaults; must not know the cases.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { start } from '../../bench/process.ts';
import { tollgateVersion } from '../../src/base/version.ts';
import { testPort } from '../support/test-port.ts';
import { until } from '../support/tollgate.ts';

const ANY_CORE = 0;
const root = mkdtempSync(join(tmpdir(), 'tollgate-strict-'));
process.once('exit', () => rmSync(root, { recursive: true, force: true }));

export interface Program {
  /** Name and version. */
  readonly name: string;
  readonly port: number;
}

/** Starts the program of `kind` in front of 127.0.0.1:`origin`. Ended by `endAll` of bench/process.ts; its files go with this process. */
export async function startProgram(kind: 'tollgate' | 'nginx' | 'haproxy', origin: number): Promise<Program> {
  const directory = mkdtempSync(join(root, `${kind}-`));
  const port = await testPort();
  const log = join(directory, 'out.log');
  const { name, command } = PROGRAMS[kind](directory, port, origin);
  const child = start(ANY_CORE, command, log);
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`${kind} ended with ${child.exitCode}: see ${log}`);
    return await listens(port);
  }, 20_000);
  return { name, port };
}

interface Start {
  readonly name: string;
  readonly command: readonly string[];
}

const PROGRAMS: Readonly<Record<'tollgate' | 'nginx' | 'haproxy', (directory: string, port: number, origin: number) => Start>> = {
  tollgate: (directory, port, origin) => {
    const config = join(directory, 'tollgate.yaml');
    mkdirSync(join(directory, 'run'), { mode: 0o700 });
    writeFileSync(
      config,
      `admin: { listen: off }
workers: 1
runtime: ${directory}/run
listeners:
  - name: web
    address: 127.0.0.1:${port}
    routes: [{ to: origin }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin}"] }
`,
    );
    const program = fileURLToPath(new URL('../../bin/tollgate.js', import.meta.url));
    return { name: `Tollgate ${tollgateVersion()}`, command: [process.execPath, program, 'run', '--config', config] };
  },
  nginx: (directory, port, origin) => {
    const config = join(directory, 'nginx.conf');
    const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((each) => `${each}_temp_path ${directory}/${each};`).join(' ');
    writeFileSync(
      config,
      `worker_processes 1; daemon off; ${process.getuid?.() === 0 ? 'user root;' : ''} pid ${directory}/pid;
events { worker_connections 1024; }
http {
  ${temp} access_log off; client_max_body_size 0;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream origin { server 127.0.0.1:${origin}; keepalive 16; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://origin; proxy_http_version 1.1;
      proxy_set_header Host $http_host; proxy_set_header Connection $connection_upgrade; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header X-Forwarded-For $remote_addr;
    }
  }
}
`,
    );
    const error = join(directory, 'error.log');
    // "nginx version: nginx/1.22.1", on standard error.
    const version = execFileSync('sh', ['-c', 'nginx -v 2>&1'], { encoding: 'utf8' });
    return { name: `nginx ${/nginx\/(\S+)/.exec(version)?.[1] ?? '?'}`, command: ['nginx', '-p', directory, '-e', error, '-c', config] };
  },
  haproxy: (directory, port, origin) => {
    const config = join(directory, 'haproxy.cfg');
    writeFileSync(
      config,
      `global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 75s
  timeout server 60s
  timeout http-keep-alive 75s
frontend web
  bind 127.0.0.1:${port}
  http-request set-header X-Forwarded-For %[src]
  default_backend origin
backend origin
  http-reuse always
  server one 127.0.0.1:${origin} pool-max-conn 16
`,
    );
    const version = execFileSync('haproxy', ['-v'], { encoding: 'utf8' });
    return { name: `HAProxy ${/version (\d+\.\d+\.\d+)/.exec(version)?.[1] ?? '?'}`, command: ['haproxy', '-db', '-f', config] };
  },
};

async function listens(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const done = (yes: boolean): void => {
      socket.destroy();
      resolve(yes);
    };
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
  });
}
