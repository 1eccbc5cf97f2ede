/**
 * The programs compared, each configured as a good administrator would: the same certificate and key, TLS 1.2 and 1.3, one worker on one
 * core, kept-alive connections to the origin, the same forwarded fields, and an access log with the same values in a file of the same
 * directory.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../src/config/free-port.ts';
import { processTree, start } from './process.ts';

/** The proxy's core; the load and the origin have the other. */
export const PROXY_CORE = 0;
export const LOAD_CORE = 1;

export interface Certificate {
  readonly chain: string;
  readonly key: string;
}

export interface Contender {
  readonly name: string;
  /** Begins to serve `certificate` in front of 127.0.0.1:`origin`; files go to `directory`. */
  start(directory: string, certificate: Certificate, origin: number): Promise<Running>;
}

export interface Running {
  readonly port: number;
  readonly child: ChildProcess;
  pids(): number[];
}

export function nginx(): Contender {
  return {
    name: 'nginx',
    start: async (directory, certificate, origin) => {
      const port = await freePort(20_100);
      const config = join(directory, 'nginx.conf');
      writeFileSync(config, nginxConfig(directory, certificate, origin, port));
      return await serving(
        port,
        start(PROXY_CORE, ['nginx', '-p', directory, '-e', join(directory, 'error.log'), '-c', config], join(directory, 'out.log')),
      );
    },
  };
}

function nginxConfig(directory: string, { chain, key }: Certificate, origin: number, port: number): string {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((each) => `${each}_temp_path ${directory}/${each};`).join(' ');
  return `worker_processes 1; daemon off; user root; pid ${directory}/pid; worker_rlimit_nofile 65536;
events { worker_connections 20000; }
http {
  ${temp}
  log_format bench escape=json '{"time":"$time_iso8601","client":"$remote_addr","tls":"$ssl_protocol","cipher":"$ssl_cipher","sni":"$ssl_server_name",'
    '"method":"$request_method","host":"$http_host","path":"$request_uri","userAgent":"$http_user_agent","status":$status,"bytes":$bytes_sent,'
    '"duration":$request_time,"upstream":"$upstream_addr","requestId":"$request_id"}';
  access_log ${directory}/access.log bench;
  keepalive_requests 1000000000; keepalive_timeout 75s; client_max_body_size 0;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream origin { server 127.0.0.1:${origin}; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} ssl backlog=4096;
    ssl_certificate ${chain}; ssl_certificate_key ${key}; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on; ssl_session_timeout 1h;
    location / {
      proxy_pass http://origin; proxy_http_version 1.1;
      proxy_set_header Host $http_host; proxy_set_header Connection $connection_upgrade; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Port $server_port; proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Request-ID $request_id;
    }
  }
}
`;
}

export function haproxy(): Contender {
  return {
    name: 'haproxy',
    start: async (directory, certificate, origin) => {
      const port = await freePort(20_200);
      const pem = join(directory, 'both.pem');
      writeFileSync(pem, Buffer.concat([readFileSync(certificate.chain), readFileSync(certificate.key)]), { mode: 0o600 });
      const config = join(directory, 'haproxy.cfg');
      writeFileSync(config, haproxyConfig(pem, origin, port));
      return await serving(port, start(PROXY_CORE, ['haproxy', '-db', '-f', config], join(directory, 'access.log')));
    },
  };
}

function haproxyConfig(pem: string, origin: number, port: number): string {
  return `global
  nbthread 1
  maxconn 8000
  log stdout format raw local0
  ssl-default-bind-options ssl-min-ver TLSv1.2
  tune.ssl.cachesize 0
defaults
  mode http
  log global
  timeout connect 5s
  timeout client 75s
  timeout server 60s
  timeout http-keep-alive 75s
  timeout tunnel 1h
  log-format '{"time":"%T","client":"%ci","tls":"%sslv","cipher":"%sslc","sni":"%[ssl_fc_sni]","request":%{+Q}r,"status":%ST,"bytes":%B,"duration":%Ta,"upstream":"%s","requestId":"%ID"}'
  unique-id-format %{+X}o%pid%rt%Ts
frontend web
  bind 127.0.0.1:${port} ssl crt ${pem} alpn http/1.1
  unique-id-header X-Request-ID
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Real-IP %[src]
  http-request set-header X-Forwarded-Proto https
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  default_backend origin
backend origin
  http-reuse always
  server one 127.0.0.1:${origin} maxconn 8000 pool-max-conn 256
`;
}

/** `command` is what runs Tollgate's command line, so that two checkouts can be compared. */
export function tollgate(name: string, command: readonly string[]): Contender {
  return {
    name,
    start: async (directory, certificate, origin) => {
      const port = await freePort(20_300);
      const config = join(directory, 'tollgate.yaml');
      mkdirSync(join(directory, 'run'), { mode: 0o700 });
      writeFileSync(
        config,
        `admin: { listen: off }
workers: 1
runtime: ${directory}/run
log: { access: { path: ${directory}/access.log, format: json } }
listeners:
  - name: web
    address: 127.0.0.1:${port}
    tls: { certificates: [{ certificate: ${certificate.chain}, key: ${certificate.key} }] }
    routes: [{ to: origin }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin}"], idleConnections: 256 }
`,
      );
      return await serving(port, start(PROXY_CORE, [...command, 'run', '--config', config], join(directory, 'out.log')));
    },
  };
}

/** A small web server that is not what limits the load: nginx with fixed answers, and behind it an echo for tunnels. */
export async function startOrigin(directory: string): Promise<Running> {
  const port = await freePort(20_000);
  mkdirSync(directory, { recursive: true });
  const echoPort = await freePort(port + 1);
  const echo = fileURLToPath(new URL('./echo-origin.ts', import.meta.url));
  await serving(echoPort, start(LOAD_CORE, [process.execPath, echo, String(echoPort)], join(directory, 'echo.log')));
  writeFileSync(join(directory, '16k'), Buffer.alloc(16_384, 'x'));
  writeFileSync(join(directory, '1m'), Buffer.alloc(1_048_576, 'x'));
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((each) => `${each}_temp_path ${directory}/${each};`).join(' ');
  const config = join(directory, 'nginx.conf');
  writeFileSync(
    config,
    `worker_processes 1; daemon off; user root; pid ${directory}/pid; worker_rlimit_nofile 65536;
events { worker_connections 20000; }
http {
  ${temp}
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; client_max_body_size 0; client_body_buffer_size 2m;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { return 200 '${JSON.stringify({ ok: true, padding: 'x'.repeat(44) })}'; }
    location /16k { alias ${directory}/16k; }
    location /1m { alias ${directory}/1m; }
    location /echo {
      proxy_pass http://127.0.0.1:${echoPort}; proxy_http_version 1.1; proxy_set_header Connection upgrade; proxy_set_header Upgrade websocket;
    }
    location /upload { proxy_pass http://127.0.0.1:${port}/; proxy_request_buffering on; }
  }
}
`,
  );
  return await serving(
    port,
    start(LOAD_CORE, ['nginx', '-p', directory, '-e', join(directory, 'error.log'), '-c', config], join(directory, 'out.log')),
  );
}

async function serving(port: number, child: ChildProcess): Promise<Running> {
  const until = Date.now() + 20_000;
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`${child.spawnargs.slice(3).join(' ')} ended with ${child.exitCode}`);
    if (Date.now() > until) throw new Error(`${child.spawnargs.slice(3).join(' ')} does not listen on ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { port, child, pids: () => processTree(child.pid!) };
}

async function answers(port: number): Promise<boolean> {
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
