/** HAProxy and nginx with a private configuration, ended with the test. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { startProgram } from './program.ts';

/** `sections` behind a few defaults of mode tcp; ready when `port` is. */
export async function haproxy(t: TestContext, port: number, sections: string): Promise<void> {
  await startProgram(t, port, (directory) => {
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
  await startProgram(t, port, (directory) => {
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
