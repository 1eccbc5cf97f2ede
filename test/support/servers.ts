/** Real web servers as origins: Apache, nginx, Caddy, gunicorn, each with a private configuration on a port of its own, ended with the test. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ports, startProgram } from './program.ts';

/** What every server has: /small and /large; /moved leads to /small; /cookies sets two; what else there is is missing. */
export interface Content {
  readonly small: string;
  readonly large: Buffer;
}

/** Quiet time after which the servers close a connection, and requests they serve on one. Short, so that tests meet both ends. */
export const KEPT_S = 1;
export const KEPT_REQUESTS = 3;

async function start(t: TestContext, content: Content, commandOf: (directory: string, port: number) => readonly string[]): Promise<number> {
  const [port = 0] = await ports(1);
  await startProgram(t, port, (directory) => {
    // Some of them give up root, and must still read their files.
    chmodSync(directory, 0o755);
    mkdirSync(join(directory, 'www'));
    writeFileSync(join(directory, 'www/small'), content.small);
    writeFileSync(join(directory, 'www/large'), content.large);
    return commandOf(directory, port);
  });
  return port;
}

export async function apache(t: TestContext, content: Content): Promise<number> {
  return await start(t, content, (directory, port) => {
    const modules = ['mpm_event', 'authz_core', 'alias', 'headers', 'mime'];
    writeFileSync(
      join(directory, 'apache.conf'),
      `ServerRoot ${directory}
ServerName localhost
Listen 127.0.0.1:${port}
PidFile ${directory}/pid
ErrorLog ${directory}/error.log
DefaultRuntimeDir ${directory}
${modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
TypesConfig /etc/mime.types
${process.getuid?.() === 0 ? 'User www-data\nGroup www-data' : ''}
StartServers 1
KeepAlive On
KeepAliveTimeout ${KEPT_S}
MaxKeepAliveRequests ${KEPT_REQUESTS}
DocumentRoot ${directory}/www
<Directory ${directory}/www>
  Require all granted
</Directory>
RedirectMatch 302 ^/moved$ /small
<Location /cookies>
  Header add Set-Cookie "a=1; Path=/"
  Header add Set-Cookie "b=2; Secure; HttpOnly"
</Location>
Alias /cookies ${directory}/www/small
`,
    );
    return ['apache2', '-f', join(directory, 'apache.conf'), '-DFOREGROUND'];
  });
}

export async function nginx(t: TestContext, content: Content): Promise<number> {
  return await start(t, content, (directory, port) => {
    const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((each) => `${each}_temp_path ${directory}/${each};`).join(' ');
    writeFileSync(
      join(directory, 'nginx.conf'),
      `daemon off; worker_processes 1; pid ${directory}/pid; ${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 512; }
http {
  ${temp} access_log off; keepalive_timeout ${KEPT_S}s; keepalive_requests ${KEPT_REQUESTS}; absolute_redirect off;
  server {
    listen 127.0.0.1:${port}; root ${directory}/www;
    location = /moved { return 302 /small; }
    location = /cookies { add_header Set-Cookie "a=1; Path=/"; add_header Set-Cookie "b=2; Secure; HttpOnly"; alias ${directory}/www/small; }
  }
}
`,
    );
    return ['nginx', '-p', directory, '-e', join(directory, 'error.log'), '-c', join(directory, 'nginx.conf')];
  });
}

export async function caddy(t: TestContext, content: Content): Promise<number> {
  return await start(t, content, (directory, port) => {
    writeFileSync(
      join(directory, 'Caddyfile'),
      `{
  admin off
  auto_https off
  servers {
    timeouts {
      idle ${KEPT_S}s
    }
  }
}
http://:${port} {
  bind 127.0.0.1
  root * ${directory}/www
  redir /moved /small 302
  header /cookies +Set-Cookie "a=1; Path=/"
  header /cookies +Set-Cookie "b=2; Secure; HttpOnly"
  rewrite /cookies /small
  file_server
}
`,
    );
    return ['caddy', 'run', '--config', join(directory, 'Caddyfile'), '--adapter', 'caddyfile'];
  });
}

/** A WSGI application. Beside what all have: /digest answers the body's length and SHA-256, /stream has no length, /status/N answers N. */
const WSGI = `import hashlib

def app(environ, start_response):
    path = environ['PATH_INFO']
    root = environ['tollgate.root'] if 'tollgate.root' in environ else 'www'
    if path in ('/small', '/large'):
        data = open(root + path, 'rb').read()
        start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(data)))])
        return [data] if environ['REQUEST_METHOD'] != 'HEAD' else []
    if path == '/moved':
        start_response('302 Found', [('Location', '/small'), ('Content-Length', '0')])
        return []
    if path == '/cookies':
        start_response('200 OK', [('Set-Cookie', 'a=1; Path=/'), ('Set-Cookie', 'b=2; Secure; HttpOnly'), ('Content-Length', '2')])
        return [b'ok']
    if path == '/digest':
        digest, length = hashlib.sha256(), 0
        while True:
            part = environ['wsgi.input'].read(65536)
            if not part:
                break
            digest.update(part)
            length += len(part)
        text = ('%d %s' % (length, digest.hexdigest())).encode()
        start_response('200 OK', [('Content-Length', str(len(text)))])
        return [text]
    if path == '/stream':
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return (b'part %d\\n' % i for i in range(100))
    if path.startswith('/status/'):
        start_response(path[8:] + ' Whatever', [('Content-Length', '0')] if path[8:] != '204' else [])
        return []
    start_response('404 Not Found', [('Content-Length', '7')])
    return [b'missing']
`;

export async function gunicorn(t: TestContext, content: Content): Promise<number> {
  return await start(t, content, (directory, port) => {
    writeFileSync(join(directory, 'app.py'), WSGI);
    const kept = ['--worker-class', 'gthread', '--threads', '8', '--keep-alive', String(KEPT_S)];
    return ['gunicorn', '--bind', `127.0.0.1:${port}`, ...kept, '--worker-tmp-dir', directory, '--chdir', directory, 'app:app'];
  });
}
