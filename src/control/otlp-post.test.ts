import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type PostResult, post, RETRY_AFTER_MS_MAX, retryAfterMs } from './otlp-post.ts';

async function send(port: number, options: { timeoutMs?: number; signal?: AbortSignal; rejectedName?: string } = {}): Promise<PostResult> {
  const { timeoutMs = 20_000, signal = new AbortController().signal, rejectedName = 'rejectedSpans' } = options;
  const url = new URL(`http://127.0.0.1:${port}/v1/traces`);
  return await post('{}', { url, headers: { 'x-key': 'k' }, timeoutMs, signal, rejectedName });
}

async function serve(t: TestContext, answer: RequestListener): Promise<number> {
  const server = createHttpServer((request, response) => request.resume().on('end', () => answer(request, response)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A server that says `bytes` to whoever has said anything, and more with each of `then`. */
async function say(t: TestContext, bytes: string, then: (socket: Socket) => void = () => {}): Promise<number> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(bytes);
      then(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

test('post() knows what an answer means', async (t) => {
  const answers: { status: number; headers?: Record<string, string>; body?: string }[] = [];
  const port = await serve(t, (request, response) => {
    assert.equal(request.headers['x-key'], 'k');
    const { status, headers = {}, body = '' } = answers[0]!;
    response.writeHead(status, headers).end(body);
  });
  const after = async (status: number, body?: string, headers?: Record<string, string>): Promise<PostResult> => {
    answers[0] = { status, ...(body === undefined ? {} : { body }), ...(headers === undefined ? {} : { headers }) };
    return await send(port);
  };
  const taken = { kind: 'taken', rejected: 0, why: '' };
  for (const body of ['', '{}', '{"partialSuccess":{}}', '{"partialSuccess":null}', '{"partialSuccess":{"rejectedSpans":"0"}}', ' \n']) {
    assert.deepEqual(await after(200, body), taken, body);
  }
  assert.deepEqual(await after(202, '{}'), taken);
  assert.deepEqual(await after(200, '{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}'), {
    ...taken,
    rejected: 3,
    why: 'too old',
  });
  assert.deepEqual(await after(200, '{"partialSuccess":{"rejectedSpans":2}}'), { ...taken, rejected: 2 });
  assert.deepEqual(await after(200, '{"partialSuccess":{"rejectedSpans":"many"}}'), taken);
  for (const body of ['<html>log in</html>', '[]', '7', '{"partialSuccess":', '\xff\x00']) {
    assert.equal((await after(200, body)).kind, 'refused', body);
  }
  for (const status of [301, 307, 400, 401, 403, 404, 413, 500, 501]) {
    assert.deepEqual(await after(status, '', { location: '/elsewhere' }), { kind: 'refused', why: `status ${status}` });
  }
  assert.deepEqual(await after(400, '{"code":3,"message":"no span"}'), { kind: 'refused', why: 'status 400: no span' });
  for (const status of [429, 502, 503, 504]) {
    assert.deepEqual(await after(status), { kind: 'later', afterMs: null, why: `status ${status}` });
    assert.deepEqual(await after(status, '', { 'retry-after': '7' }), { kind: 'later', afterMs: 7_000, why: `status ${status}` });
  }
});

test('post() outlives whatever the other side does', async (t) => {
  const whyLater = async (port: number, timeoutMs = 20_000): Promise<string> => {
    const result = await send(port, { timeoutMs });
    assert.equal(result.kind, 'later');
    return result.why;
  };
  const gone = await serve(t, () => {});
  const free = createServer();
  await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
  const { port: nobody } = free.address() as AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  assert.equal(await whyLater(nobody), 'ECONNREFUSED');
  assert.match(await whyLater(gone, 50), /^no whole answer within 50 ms$/);
  assert.match(await whyLater(await say(t, 'SSH-2.0-OpenSSH_9.6\r\n')), /^HPE_/);
  assert.match(await whyLater(await say(t, `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(100_000)}`)), /^HPE_HEADER_OVERFLOW/);
  assert.equal(await whyLater(await say(t, 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{', (socket) => socket.end())), 'ECONNRESET');
  assert.equal(await whyLater(await say(t, '', (socket) => socket.destroy())), 'ECONNRESET');
  assert.match(await whyLater(await say(t, 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{'), 50), /^no whole answer/);
  assert.match(await whyLater(await say(t, 'HTTP/1.1 101 Yes\r\nconnection: upgrade\r\nupgrade: tea\r\n\r\n'), 50), /./);
  const endless = await say(t, 'HTTP/1.1 200 OK\r\n\r\n', (socket) => {
    const more = (): void => {
      if (!socket.destroyed) socket.write('x'.repeat(10_000), () => setImmediate(more));
    };
    more();
  });
  assert.deepEqual(await send(endless), { kind: 'refused', why: 'an answer of more than 65536 bytes' });
});

test('post() ends at once when it is told to', async (t) => {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const port = await serve(t, () => resolve());
  const controller = new AbortController();
  const result = send(port, { signal: controller.signal });
  await asked;
  controller.abort();
  assert.deepEqual(await result, { kind: 'later', afterMs: null, why: 'broken off' });
  assert.deepEqual(await send(port, { signal: controller.signal }), { kind: 'later', afterMs: null, why: 'broken off' });
});

test('retryAfterMs() reads seconds and dates, within a bound', () => {
  const nowMs = Date.UTC(2030, 0, 1);
  assert.equal(retryAfterMs(undefined, nowMs), null);
  assert.equal(retryAfterMs('0', nowMs), 0);
  assert.equal(retryAfterMs('120', nowMs), 120_000);
  assert.equal(retryAfterMs('999999999', nowMs), RETRY_AFTER_MS_MAX);
  assert.equal(retryAfterMs('Tue, 01 Jan 2030 00:00:30 GMT', nowMs), 30_000);
  assert.equal(retryAfterMs('Mon, 31 Dec 2029 23:00:00 GMT', nowMs), 0);
  assert.equal(retryAfterMs('Fri, 01 Jan 2100 00:00:00 GMT', nowMs), RETRY_AFTER_MS_MAX);
  for (const nonsense of ['', 'soon', '-', 'NaN', '1e99', `${'9'.repeat(400)}x`])
    assert.equal(retryAfterMs(nonsense, nowMs), null, nonsense);
});
