/** Common clients against the real program, with a real nginx behind it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ca, caPath } from './support/certificates.ts';
import { httpOrigin, nginxOrigin } from './support/origin.ts';
import { Tollgate } from './support/tollgate.ts';

const run = promisify(execFile);

async function curl(port: number, path: string, ...options: readonly string[]): Promise<string> {
  const args = ['-sS', '--cacert', caPath, '--max-time', '20', ...options, `https://localhost:${port}${path}`];
  return (await run('curl', args, { encoding: 'latin1', maxBuffer: 1 << 24 })).stdout;
}

test('curl: GET, HEAD, ranges, two requests on one connection, HTTP/1.0, against a real nginx', async (t) => {
  const page = randomBytes(300_000);
  const port = await nginxOrigin(t, 'location / { }', { page });
  const tollgate = await Tollgate.start(t, { to: port });
  assert.ok(Buffer.from(await curl(tollgate.port, '/page'), 'latin1').equals(page));
  assert.match(await curl(tollgate.port, '/page', '-I'), /^HTTP\/1\.1 200 OK\r\n[\s\S]*Content-Length: 300000\r\n/);
  assert.ok(Buffer.from(await curl(tollgate.port, '/page', '-r', '1000-1999'), 'latin1').equals(page.subarray(1_000, 2_000)));
  assert.ok(Buffer.from(await curl(tollgate.port, '/page', '--http1.0'), 'latin1').equals(page));
  const twice = await curl(
    tollgate.port,
    '/page',
    '-o',
    '/dev/null',
    '-o',
    '/dev/null',
    '-w',
    '%{num_connects} ',
    `https://localhost:${tollgate.port}/page`,
  );
  assert.equal(twice, '1 0 ');
  assert.match(await curl(tollgate.port, '/missing', '-o', '/dev/null', '-w', '%{http_code}'), /^404$/);
});

test('curl: uploads by length, in chunks, and behind 100-continue', async (t) => {
  const origin = await httpOrigin(t, (incoming, response) => {
    let size = 0;
    incoming.on('data', (data) => {
      size += data.length;
    });
    incoming.on('end', () =>
      response.end(`${incoming.method} ${size} ${incoming.headers['transfer-encoding'] ?? 'length'} ${incoming.headers.expect ?? '-'}`),
    );
  });
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const path = `${tollgate.directory}/body`;
  writeFileSync(path, Buffer.alloc(3_000_000, 'x'));
  assert.equal(await curl(tollgate.port, '/', '-T', path, '-H', 'Expect:'), 'PUT 3000000 length -');
  assert.equal(await curl(tollgate.port, '/', '-T', path, '-H', 'Transfer-Encoding: chunked', '-H', 'Expect:'), 'PUT 3000000 chunked -');
  assert.equal(
    await curl(tollgate.port, '/', '-T', path, '-H', 'Expect: 100-continue', '--expect100-timeout', '10'),
    'PUT 3000000 length 100-continue',
  );
  assert.equal(await curl(tollgate.port, '/', '-d', 'a=b'), 'POST 3 length -');
});

test("Node's https client keeps its connection, and resumes sessions", async (t) => {
  const origin = await httpOrigin(t, (_incoming, response) => response.end('ok'));
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const { Agent } = await import('node:https');
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca });
  const get = (): Promise<string> =>
    new Promise((resolve, reject) => {
      request({ port: tollgate.port, host: 'localhost', agent }, (response) => {
        let text = '';
        response.on('data', (data) => {
          text += String(data);
        });
        response.on('end', () => resolve(text));
      })
        .on('error', reject)
        .end();
    });
  for (let i = 0; i < 20; i++) assert.equal(await get(), 'ok');
  agent.destroy();
  assert.equal((await tollgate.status()).connections.total, 1);
});

test("Node's fetch: GET and a streamed POST", async (t) => {
  const origin = await httpOrigin(t, (incoming, response) => incoming.pipe(response));
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const script = `
    const url = 'https://localhost:${tollgate.port}/';
    const got = await fetch(url, { method: 'POST', body: 'x'.repeat(200000) });
    console.log(got.status, (await got.text()).length);
    const stream = new ReadableStream({ start(c) { for (let i = 0; i < 10; i++) c.enqueue(new TextEncoder().encode('piece')); c.close(); } });
    const streamed = await fetch(url, { method: 'POST', body: stream, duplex: 'half' });
    console.log(streamed.status, (await streamed.text()).length);`;
  const { stdout: output } = await run(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: caPath },
  });
  assert.equal(output, '200 200000\n200 50\n');
});
