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
  /** PEM of who vouches for clients, in the mode in which they show certificates. */
  readonly clientAuthority: string;
}

/**
 * What a contender is: a proxy of HTTP, one to clients that must show a certificate and of which the server is told, one that terminates TLS and
 * knows no more, or one that passes TLS through by its name.
 */
export type Mode = 'http' | 'mutual' | 'tcp' | 'passthrough';

export interface Contender {
  readonly name: string;
  readonly modes: readonly Mode[];
  /** Begins to serve `certificate` in front of 127.0.0.1:`origin`; files go to `directory`. */
  start(directory: string, certificate: Certificate, origin: number, mode: Mode): Promise<Running>;
}

const EVERY_MODE: readonly Mode[] = ['http', 'mutual', 'tcp', 'passthrough'];
const HTTP_MODES: readonly Mode[] = ['http', 'mutual'];
/** Where Debian puts nginx's module for streams. */
const STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';

export interface Running {
  readonly port: number;
  readonly child: ChildProcess;
  pids(): number[];
}

export function nginx(): Contender {
  return {
    name: 'nginx',
    modes: EVERY_MODE,
    start: async (directory, certificate, origin, mode) => {
      const port = await freePort(20_100);
      const config = join(directory, 'nginx.conf');
      const text = HTTP_MODES.includes(mode)
        ? nginxConfig(directory, certificate, origin, port, mode)
        : nginxStream(directory, certificate, origin, port, mode);
      writeFileSync(config, text);
      const command = ['nginx', '-p', directory, '-e', 'stderr', '-c', config];
      return await serving(port, PROXY_CORE, command, join(directory, 'out.log'));
    },
  };
}

function nginxConfig(directory: string, { chain, key, clientAuthority }: Certificate, origin: number, port: number, mode: Mode): string {
  const isMutual = mode === 'mutual';
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
    ${isMutual ? `ssl_verify_client on; ssl_client_certificate ${clientAuthority};` : ''}
    location / {
      proxy_pass http://origin; proxy_http_version 1.1;
      proxy_set_header Host $http_host; proxy_set_header Connection $connection_upgrade; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Port $server_port; proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Request-ID $request_id;
      ${isMutual ? 'proxy_set_header Client-Cert $ssl_client_escaped_cert;' : ''}
    }
  }
}
`;
}

function nginxStream(directory: string, { chain, key }: Certificate, origin: number, port: number, mode: Mode): string {
  const tls = `ssl_certificate ${chain}; ssl_certificate_key ${key}; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on; ssl_session_timeout 1h;`;
  const server =
    mode === 'tcp'
      ? `listen 127.0.0.1:${port} ssl backlog=4096; ${tls} proxy_pass 127.0.0.1:${origin};`
      : `listen 127.0.0.1:${port} backlog=4096; ssl_preread on; proxy_pass $place;`;
  const name = mode === 'tcp' ? '$ssl_server_name' : '$ssl_preread_server_name';
  return `load_module ${STREAM_MODULE};
worker_processes 1; daemon off; user root; pid ${directory}/pid; worker_rlimit_nofile 65536;
events { worker_connections 20000; }
stream {
  map $ssl_preread_server_name $place { localhost 127.0.0.1:${origin}; default 127.0.0.1:1; }
  log_format bench escape=json '{"time":"$time_iso8601","client":"$remote_addr","sni":"${name}",'
    '"bytes":$bytes_sent,"bytesIn":$bytes_received,"duration":$session_time,"upstream":"$upstream_addr"}';
  access_log ${directory}/access.log bench;
  tcp_nodelay on; proxy_timeout 1h;
  server { ${server} }
}
`;
}

/** hitch has no log of connections: it does less than the others, and is shown as it is. */
export function hitch(): Contender {
  return {
    name: 'hitch',
    modes: ['tcp'],
    start: async (directory, certificate, origin) => {
      const port = await freePort(20_400);
      const config = join(directory, 'hitch.conf');
      // It does not run as root, and changes to nobody else when it is not.
      const user = process.getuid?.() === 0 ? 'user = "nobody"\n' : '';
      writeFileSync(
        config,
        `frontend = { host = "127.0.0.1" port = "${port}" }
backend = "[127.0.0.1]:${origin}"
pem-file = "${bothInOne(directory, certificate)}"
${user}workers = 1
daemon = off
tls-protos = TLSv1.2 TLSv1.3
alpn-protos = "http/1.1"
backlog = 4096
`,
      );
      return await serving(port, PROXY_CORE, ['hitch', `--config=${config}`], join(directory, 'out.log'));
    },
  };
}

/** Chain and key in one file, as HAProxy and hitch want them. */
function bothInOne(directory: string, { chain, key }: Certificate): string {
  const pem = join(directory, 'both.pem');
  writeFileSync(pem, Buffer.concat([readFileSync(chain), readFileSync(key)]), { mode: 0o600 });
  return pem;
}

export function haproxy(): Contender {
  return {
    name: 'haproxy',
    modes: EVERY_MODE,
    start: async (directory, certificate, origin, mode) => {
      const port = await freePort(20_200);
      const pem = bothInOne(directory, certificate);
      const config = join(directory, 'haproxy.cfg');
      writeFileSync(
        config,
        HTTP_MODES.includes(mode)
          ? haproxyConfig(pem, certificate.clientAuthority, origin, port, mode)
          : haproxyTcp(pem, origin, port, mode),
      );
      return await serving(port, PROXY_CORE, ['haproxy', '-db', '-f', config], join(directory, 'access.log'));
    },
  };
}

function haproxyConfig(pem: string, clientAuthority: string, origin: number, port: number, mode: Mode): string {
  const [verify, told] =
    mode === 'mutual'
      ? [` verify required ca-file ${clientAuthority}`, '  http-request set-header Client-Cert :%[ssl_c_der,base64]:\n']
      : ['', ''];
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
  bind 127.0.0.1:${port} ssl crt ${pem} alpn http/1.1${verify}
  unique-id-header X-Request-ID
${told}  http-request set-header X-Forwarded-For %[src]
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

function haproxyTcp(pem: string, origin: number, port: number, mode: Mode): string {
  const bind =
    mode === 'tcp'
      ? `bind 127.0.0.1:${port} ssl crt ${pem} alpn http/1.1`
      : `bind 127.0.0.1:${port}
  tcp-request inspect-delay 5s
  tcp-request content accept if { req.ssl_hello_type 1 }
  use_backend origin if { req.ssl_sni localhost }`;
  const sni = mode === 'tcp' ? '%[ssl_fc_sni]' : '%[capture.req.hdr(0)]';
  return `global
  nbthread 1
  maxconn 8000
  log stdout format raw local0
  ssl-default-bind-options ssl-min-ver TLSv1.2
  tune.ssl.cachesize 0
defaults
  mode tcp
  log global
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  log-format '{"time":"%T","client":"%ci","sni":"${sni}","bytes":%B,"bytesIn":%U,"duration":%Tt,"upstream":"%s"}'
frontend raw
  ${bind}
  default_backend ${mode === 'tcp' ? 'origin' : 'nowhere'}
backend origin
  server one 127.0.0.1:${origin} maxconn 8000
backend nowhere
`;
}

/** `command` is what runs Tollgate's command line, so that two checkouts can be compared. */
export function tollgate(name: string, command: readonly string[]): Contender {
  return {
    name,
    modes: EVERY_MODE,
    start: async (directory, certificate, origin, mode) => {
      const port = await freePort(20_300);
      const config = join(directory, 'tollgate.yaml');
      mkdirSync(join(directory, 'run'), { mode: 0o700 });
      const certificates = `certificates: [{ certificate: ${certificate.chain}, key: ${certificate.key} }]`;
      const tls = `tls: { ${certificates} }`;
      const clients = `clientCertificates: { authorities: ${certificate.clientAuthority}, forward: { chain: false, details: false } }`;
      const does: Readonly<Record<Mode, string>> = {
        http: `${tls}\n    routes: [{ to: origin }]`,
        mutual: `tls: { ${certificates}, ${clients} }\n    routes: [{ to: origin }]`,
        tcp: `protocol: tcp\n    ${tls}\n    routes: [{ to: origin }]`,
        passthrough: 'passthrough: [{ match: { sni: localhost }, to: origin }]',
      };
      writeFileSync(
        config,
        `admin: { listen: off }
workers: 1
runtime: ${directory}/run
log: { access: { path: ${directory}/access.log, format: json } }
listeners:
  - name: web
    address: 127.0.0.1:${port}
    ${does[mode]}
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin}"], idleConnections: 256 }
`,
      );
      return await serving(port, PROXY_CORE, [...command, 'run', '--config', config], join(directory, 'out.log'));
    },
  };
}

/** Where contenders lead to, plain and with TLS of its own. */
export interface OriginRunning extends Running {
  readonly tlsPort: number;
}

/** A small web server that is not what limits the load: nginx with fixed answers, and behind it an echo for tunnels. */
export async function startOrigin(directory: string, { chain, key }: Certificate): Promise<OriginRunning> {
  const port = await freePort(20_000);
  mkdirSync(directory, { recursive: true });
  const echoPort = await freePort(port + 1);
  const tlsPort = await freePort(echoPort + 1);
  const echo = fileURLToPath(new URL('./echo-origin.ts', import.meta.url));
  await serving(echoPort, LOAD_CORE, [process.execPath, echo, String(echoPort)], join(directory, 'echo.log'));
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
    listen 127.0.0.1:${tlsPort} ssl backlog=4096;
    ssl_certificate ${chain}; ssl_certificate_key ${key};
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
  const command = ['nginx', '-p', directory, '-e', 'stderr', '-c', config];
  return { ...(await serving(port, LOAD_CORE, command, join(directory, 'out.log'))), tlsPort };
}

/** Starts `command` on one core, its output in `log`; it serves when this resolves. When it does not, the error has its last words. */
async function serving(port: number, core: number, command: readonly string[], log: string): Promise<Running> {
  const child = start(core, command, log);
  const until = Date.now() + 20_000;
  while (!(await answers(port))) {
    const ended = child.exitCode ?? child.signalCode;
    const problem = ended !== null ? `ended with ${ended}` : Date.now() > until ? `does not listen on ${port}` : null;
    if (problem !== null) throw new Error(`${command.join(' ')} ${problem}: ${readFileSync(log, 'utf8').slice(-500).trim()}`);
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
