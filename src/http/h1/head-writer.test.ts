import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FAULT_HEAD_TOO_LARGE } from '../../base/faults.ts';
import { FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_LENGTH, FRAMING_NONE, FRAMING_TUNNEL, METHOD_GET, METHOD_HEAD } from '../message-head.ts';
import { fieldsOf, type Reading, readRequest, readResponse, requestWith, responseWith, textOf } from '../test-heads.ts';
import { Forwarding, Reply, writeRequestHead, writeResponseHead } from './head-writer.ts';

const ID = '0123456789abcdef0123456789abcdef';
const ROOM = 40_000;

function forwarding(): Forwarding {
  const forward = new Forwarding();
  forward.peerAddress = '192.0.2.7';
  forward.clientAddress = '192.0.2.7';
  forward.scheme = 'https';
  forward.port = '8443';
  forward.fallbackHost = 'fallback.example';
  forward.requestId = Buffer.from(ID);
  return forward;
}

const ours = (host: string): string[] => [
  `X-Request-ID: ${ID}`,
  'X-Forwarded-Proto: https',
  'X-Forwarded-Port: 8443',
  'X-Forwarded-For: 192.0.2.7',
  'X-Real-IP: 192.0.2.7',
  `X-Forwarded-Host: ${host}`,
];

/** Writes with `write` behind the head that was read, in the same buffer, and gives the text. */
function written(reading: Reading, write: (buf: Buffer, at: number, end: number) => number): string {
  assert.ok(reading.code > 0, `readable: ${reading.code}`);
  const buf = Buffer.concat([reading.buf, Buffer.alloc(ROOM, 0xee)]);
  const at = reading.buf.length;
  const end = write(buf, at, buf.length);
  assert.ok(end > at, `written: ${end}`);
  assert.ok(buf.subarray(0, at).equals(reading.buf), 'the head that came is untouched');
  assert.equal(buf[end], 0xee);
  return buf.toString('latin1', at, end);
}

function forwarded(reading: Reading, forward = forwarding()): string[] {
  const text = written(reading, (buf, at, end) => writeRequestHead(buf, at, end, reading.head, forward));
  assert.ok(text.endsWith('\r\n\r\n'));
  return text.slice(0, -4).split('\r\n');
}

interface ReplyParts {
  framing?: number;
  contentLength?: number;
  close?: boolean;
  clientMinor?: number;
  isSwitch?: boolean;
}

function replied(reading: Reading, parts: ReplyParts): string[] {
  const text = written(reading, (buf, at, end) => writeResponseHead(buf, at, end, reading.head, Object.assign(new Reply(), parts)));
  assert.ok(text.endsWith('\r\n\r\n'));
  return text.slice(0, -4).split('\r\n');
}

test('writeRequestHead() passes fields on as they are and puts ours behind them', () => {
  const lines = ['hOST:  a.example:81 ', 'Accept:*/*', 'Cookie: a=b; c=\x80', 'Accept: text/html'];
  const reading = readRequest(['GET /x?y HTTP/1.1', ...lines, '', ''].join('\r\n'));
  assert.deepEqual(forwarded(reading), ['GET /x?y HTTP/1.1', ...lines, ...ours('a.example:81')]);
});

// RFC 9112, section 2.3: an intermediary sends its own version.
test('writeRequestHead() and writeResponseHead() never pass a newer version on', () => {
  assert.deepEqual(forwarded(requestWith(['A: b'], '1.2')), ['GET / HTTP/1.1', 'Host: a.example', 'A: b', ...ours('a.example')]);
  const reading = responseWith(200, ['A: b', 'Content-Length: 5'], METHOD_GET, '1.9');
  assert.deepEqual(replied(reading, { framing: FRAMING_LENGTH, contentLength: 5 }), ['HTTP/1.1 200 x', 'A: b', 'Content-Length: 5']);
});

test('writeRequestHead() lets nothing through that is dropped, wherever it stands', () => {
  const gone = [
    'Connection: x-hop',
    'X-Hop: 1',
    'X-Forwarded-For: 6.6.6.6',
    'Keep-Alive: 5',
    'TE: trailers',
    'X-Real-IP: 6.6.6.6',
    'X-Request-ID: evil',
    'Forwarded: for=6.6.6.6',
    'Proxy: x',
  ];
  const kept = ['Host: a', 'A: 1', 'B: 2'];
  fc.assert(
    fc.property(fc.shuffledSubarray([...gone, ...kept], { minLength: gone.length + kept.length }), (lines) => {
      const reading = requestWith(lines);
      assert.deepEqual(forwarded(reading), ['GET / HTTP/1.1', ...lines.filter((line) => kept.includes(line)), ...ours('a')]);
    }),
    { numRuns: 100 },
  );
});

// RFC 9112, sections 3.2.2 and 3.2.4.
test('writeRequestHead() makes origin form of every target', () => {
  const line = (target: string, method = 'GET'): string => forwarded(readRequest(`${method} ${target} HTTP/1.1\r\nHost: a\r\n\r\n`))[0]!;
  assert.equal(line('http://a/x?y'), 'GET /x?y HTTP/1.1');
  assert.equal(line('http://a'), 'GET / HTTP/1.1');
  assert.equal(line('http://a?q'), 'GET /?q HTTP/1.1');
  assert.equal(line('http://a', 'OPTIONS'), 'OPTIONS * HTTP/1.1');
  assert.equal(line('http://a?q', 'OPTIONS'), 'OPTIONS /?q HTTP/1.1');
  assert.equal(line('http://a/', 'OPTIONS'), 'OPTIONS / HTTP/1.1');
  assert.equal(line('*', 'OPTIONS'), 'OPTIONS * HTTP/1.1');
  assert.equal(line(`/${'long'.repeat(100)}`, 'PROPFIND'), `PROPFIND /${'long'.repeat(100)} HTTP/1.1`);
});

test('writeRequestHead() gives an HTTP/1.0 request the Host it lacks', () => {
  assert.deepEqual(forwarded(readRequest('GET / HTTP/1.0\r\nA: b\r\n\r\n')), [
    'GET / HTTP/1.1',
    'Host: fallback.example',
    'A: b',
    ...ours('fallback.example'),
  ]);
  assert.deepEqual(forwarded(readRequest('GET / HTTP/1.0\r\n\r\n')), [
    'GET / HTTP/1.1',
    'Host: fallback.example',
    ...ours('fallback.example'),
  ]);
  assert.deepEqual(forwarded(readRequest('GET http://a:81/x HTTP/1.0\r\n\r\n')), ['GET /x HTTP/1.1', 'Host: a:81', ...ours('a:81')]);
  assert.deepEqual(forwarded(readRequest('GET http://a/x HTTP/1.0\r\nB: c\r\nHost: A\r\n\r\n')), [
    'GET /x HTTP/1.1',
    'B: c',
    'Host: A',
    ...ours('A'),
  ]);
});

test('writeRequestHead() writes framing once, in its canonical form', () => {
  assert.deepEqual(forwarded(requestWith(['content-length:  0042', 'A: b'], '1.1', 'POST')), [
    'POST / HTTP/1.1',
    'Host: a.example',
    'A: b',
    ...ours('a.example'),
    'Content-Length: 42',
  ]);
  assert.deepEqual(forwarded(requestWith(['Content-Length: 0'], '1.1', 'POST')).at(-1), 'Content-Length: 0');
  assert.deepEqual(forwarded(requestWith(['Trailer: X', 'transfer-encoding: CHUNKED'])), [
    'GET / HTTP/1.1',
    'Host: a.example',
    'Trailer: X',
    ...ours('a.example'),
    'Transfer-Encoding: chunked',
  ]);
});

test('writeRequestHead() asks for the upgrade the client asked for', () => {
  const lines = forwarded(requestWith(['Connection: keep-alive, Upgrade', 'Upgrade:  websocket ', 'Sec-WebSocket-Key: x']));
  assert.deepEqual(lines, [
    'GET / HTTP/1.1',
    'Host: a.example',
    'Sec-WebSocket-Key: x',
    ...ours('a.example'),
    'Connection: upgrade',
    'Upgrade: websocket',
  ]);
});

// RFC 9110, section 10.1.1.
test('writeRequestHead() passes Expect: 100-continue on', () => {
  assert.ok(forwarded(requestWith(['Expect: 100-continue', 'Content-Length: 1'])).includes('Expect: 100-continue'));
});

test('writeRequestHead() tells scheme and port of the listener at hand', () => {
  const forward = forwarding();
  const reading = requestWith([]);
  for (const [scheme, port] of [
    ['http', '80'],
    ['https', '80'],
    ['https', '443'],
    ['http', '80'],
  ] as const) {
    forward.scheme = scheme;
    forward.port = port;
    const lines = forwarded(reading, forward);
    assert.ok(lines.includes(`X-Forwarded-Proto: ${scheme}`) && lines.includes(`X-Forwarded-Port: ${port}`));
  }
});

test('writeRequestHead() refuses to write past its room', () => {
  const reading = requestWith([`A: ${'x'.repeat(500)}`]);
  const buf = Buffer.concat([reading.buf, Buffer.alloc(2_000, 0xee)]);
  const at = reading.buf.length;
  assert.equal(writeRequestHead(buf, at, at + 700, reading.head, forwarding()), FAULT_HEAD_TOO_LARGE);
  assert.ok(buf.subarray(at).every((byte) => byte === 0xee));
});

test('writeResponseHead() passes fields on and frames anew', () => {
  const reading = responseWith(200, [
    'Server: x',
    'content-length: 005',
    'Keep-Alive: 5',
    'Set-Cookie: a',
    'Set-Cookie: b',
    'Connection: keep-alive',
  ]);
  const kept = ['HTTP/1.1 200 x', 'Server: x', 'Set-Cookie: a', 'Set-Cookie: b'];
  assert.deepEqual(replied(reading, { framing: FRAMING_LENGTH, contentLength: 5 }), [...kept, 'Content-Length: 5']);
  assert.deepEqual(replied(reading, { framing: FRAMING_CHUNKED, close: true }), [
    ...kept,
    'Transfer-Encoding: chunked',
    'Connection: close',
  ]);
  assert.deepEqual(replied(reading, { framing: FRAMING_CLOSE }), [...kept, 'Connection: close']);
});

test('writeResponseHead() tells an HTTP/1.0 client that the connection stays', () => {
  const reading = responseWith(200, ['Content-Length: 5']);
  assert.deepEqual(replied(reading, { framing: FRAMING_LENGTH, contentLength: 5, clientMinor: 0 }).at(-1), 'Connection: keep-alive');
  assert.deepEqual(
    replied(reading, { framing: FRAMING_LENGTH, contentLength: 5, clientMinor: 0, close: true }).at(-1),
    'Connection: close',
  );
});

test('writeResponseHead() writes HTTP/1.1 and the space a status line needs', () => {
  const line = (start: string): string => replied(readResponse(`${start}\r\nA: b\r\n\r\n`), { framing: FRAMING_CLOSE })[0]!;
  assert.equal(line('HTTP/1.0 404 Not Found'), 'HTTP/1.1 404 Not Found');
  assert.equal(line('HTTP/1.1 404'), 'HTTP/1.1 404 ');
  assert.equal(line('HTTP/1.0 404'), 'HTTP/1.1 404 ');
  assert.equal(line('HTTP/1.1 404 '), 'HTTP/1.1 404 ');
});

// RFC 9110, section 8.6.
test('writeResponseHead() keeps the Content-Length of an answer to HEAD and of a 304', () => {
  assert.deepEqual(replied(responseWith(200, ['Content-Length: 5'], METHOD_HEAD), {}), ['HTTP/1.1 200 x', 'Content-Length: 5']);
  assert.deepEqual(replied(responseWith(304, ['ETag: 1', 'Content-Length: 5'], METHOD_GET), {}), [
    'HTTP/1.1 304 x',
    'ETag: 1',
    'Content-Length: 5',
  ]);
});

test('writeResponseHead() says nothing about the connection in an interim response', () => {
  assert.deepEqual(replied(responseWith(100, []), { close: true }), ['HTTP/1.1 100 x']);
  assert.deepEqual(replied(responseWith(103, ['Link: x']), { clientMinor: 0 }), ['HTTP/1.1 103 x', 'Link: x']);
});

test('writeResponseHead() passes a switch on', () => {
  const reading = responseWith(101, ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Accept: x']);
  assert.deepEqual(replied(reading, { framing: FRAMING_TUNNEL, isSwitch: true }), [
    'HTTP/1.1 101 x',
    'Sec-WebSocket-Accept: x',
    'Connection: upgrade',
    'Upgrade: websocket',
  ]);
});

test('writeResponseHead() asserts what no caller may ask for', () => {
  const chunked = responseWith(200, ['Transfer-Encoding: chunked']);
  assert.throws(() => replied(chunked, { framing: FRAMING_CHUNKED, clientMinor: 0 }));
  assert.throws(() => replied(responseWith(204, []), { framing: FRAMING_LENGTH }));
});

test('writeResponseHead() refuses to write past its room', () => {
  const reading = responseWith(200, []);
  assert.equal(writeResponseHead(reading.buf, 0, 10, reading.head, new Reply()), FAULT_HEAD_TOO_LARGE);
});

// --- what is written is read back ---

const value = fc.stringMatching(/^[!-~\x80-\xff]([ -~\t\x80-\xff]{0,40}[!-~\x80-\xff])?$/);
const fields = fc.array(fc.tuple(fc.stringMatching(/^[A-Wa-w][A-Za-z0-9-]{0,20}x$/), value), { maxLength: 12 });

test('writeRequestHead() writes what readRequestHead() reads as the same request', () => {
  fc.assert(
    fc.property(
      fields,
      fc.constantFrom('/', '/a?b', 'http://h.example/c'),
      fc.constantFrom('Content-Length: 7', 'Transfer-Encoding: chunked', 'C: d'),
      (pairs, target, framing) => {
        const first = readRequest(
          [`PUT ${target} HTTP/1.1`, ...pairs.map((pair) => pair.join(':')), 'Host: h.example', framing, '', ''].join('\r\n'),
        );
        const second = readRequest(written(first, (buf, at, end) => writeRequestHead(buf, at, end, first.head, forwarding())));
        assert.ok(second.code > 0);
        assert.equal(second.head.framing, first.head.framing);
        assert.equal(second.head.contentLength, first.head.contentLength);
        assert.equal(second.head.keepAlive, true);
        assert.equal(
          textOf(second, second.head.targetStart, second.head.targetEnd),
          textOf(first, first.head.pathStart, first.head.pathEnd),
        );
        assert.deepEqual(fieldsOf(second).slice(0, pairs.length), fieldsOf(first).slice(0, pairs.length));
      },
    ),
    { numRuns: 200 },
  );
});

test('writeResponseHead() writes what readResponseHead() reads as the same response', () => {
  fc.assert(
    fc.property(
      fields,
      fc.constantFrom(200, 206, 404, 204, 304),
      fc.constantFrom('Content-Length: 0', 'Transfer-Encoding: chunked', 'C: d'),
      (pairs, status, framing) => {
        const first = responseWith(status, [...pairs.map((pair) => pair.join(':')), framing]);
        // A 204 with chunks is refused, and that is another test's affair.
        if (first.code < 0) return;
        const reply = { framing: first.head.framing, contentLength: first.head.contentLength };
        const second = readResponse(`${replied(first, reply).join('\r\n')}\r\n\r\n`);
        assert.ok(second.code > 0);
        assert.equal(second.head.status, status);
        assert.equal(second.head.framing, first.head.framing);
        assert.equal(second.head.keepAlive, first.head.framing !== FRAMING_CLOSE);
        assert.equal(first.head.framing === FRAMING_NONE, status === 204 || status === 304);
        assert.deepEqual(fieldsOf(second).slice(0, pairs.length), fieldsOf(first).slice(0, pairs.length));
      },
    ),
    { numRuns: 200 },
  );
});
