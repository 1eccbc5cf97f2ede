import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  FAULT_BARE_CR,
  FAULT_BARE_LF,
  FAULT_CONNECT_METHOD,
  FAULT_FIELD_NAME,
  FAULT_H2_PREFACE,
  FAULT_HEAD_TOO_LARGE,
  FAULT_HOST,
  FAULT_METHOD,
  FAULT_METHOD_UNKNOWN,
  FAULT_OBS_FOLD,
  FAULT_REQUEST_LINE,
  FAULT_REQUEST_TARGET,
  FAULT_REQUEST_VERSION,
  FAULT_RESPONSE_HEAD,
  FAULT_STATUS_LINE,
  FAULT_TARGET_TOO_LONG,
  FAULT_TOO_MANY_FIELDS,
  NEED_MORE,
} from '../../base/faults.ts';
import { METHOD_BYTES_MAX } from '../../base/limits.ts';
import {
  FRAMING_LENGTH,
  METHOD_GET,
  METHOD_HEAD,
  METHOD_OTHER,
  METHOD_TRACE,
  MessageHead,
  TARGET_ABSOLUTE,
  TARGET_ASTERISK,
  TARGET_ORIGIN,
} from '../message-head.ts';
import { fieldsOf, HEAD_AT, LIMITS, type Reading, readRequest, readResponse, summaryOf, textOf } from '../test-heads.ts';
import { headMayBeComplete, readRequestHead } from './head-reader.ts';

const HOST = 'Host: a.example\r\n\r\n';

function withTarget(target: string, method = 'GET'): Reading {
  return readRequest(`${method} ${target} HTTP/1.1\r\n${HOST}`);
}

test('readRequestHead() reads a whole head and leaves what is behind it', () => {
  const text = 'POST /a/b?c=d HTTP/1.1\r\nHost: a.example:81\r\nContent-Length: 3\r\n\r\n';
  const reading = readRequest(`${text}abcGET /`);
  const { head } = reading;
  assert.equal(reading.code, text.length);
  assert.equal(head.headEnd, HEAD_AT + text.length);
  assert.equal(textOf(reading, head.methodStart, head.methodEnd), 'POST');
  assert.equal(textOf(reading, head.targetStart, head.targetEnd), '/a/b?c=d');
  assert.equal(textOf(reading, head.pathStart, head.pathEnd), '/a/b?c=d');
  assert.equal(textOf(reading, head.queryStart, head.pathEnd), '?c=d');
  assert.equal(textOf(reading, head.hostStart, head.hostEnd), 'a.example');
  assert.equal(head.versionMinor, 1);
  assert.equal(head.framing, FRAMING_LENGTH);
  assert.equal(head.contentLength, 3);
  assert.deepEqual(fieldsOf(reading), [
    ['Host', 'a.example:81'],
    ['Content-Length', '3'],
  ]);
});

test('readRequestHead() numbers the usual methods', () => {
  const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE'];
  for (const [i, method] of methods.entries()) assert.equal(withTarget('/', method).head.method, METHOD_GET + i, method);
  assert.equal(METHOD_TRACE, 8);
  for (const method of ['PROPFIND', 'M-SEARCH', 'GETT', 'PUSH', 'X', "!#$%&'*+-.^_`|~"])
    assert.equal(withTarget('/', method).head.method, METHOD_OTHER, method);
});

// RFC 9110, section 9.1: methods are case-sensitive; none is defined in lower case.
test('readRequestHead() refuses methods that are no token or not in upper case', () => {
  for (const method of ['get', 'Get', 'GE T', 'G(T', 'G\0T', '\x80', '@']) {
    const { code } = withTarget('/', method);
    assert.ok(code === FAULT_METHOD || (method === 'GE T' && code === FAULT_REQUEST_TARGET), `${method} ${code}`);
  }
  assert.equal(readRequest(` GET / HTTP/1.1\r\n${HOST}`).code, FAULT_METHOD);
  assert.equal(readRequest('\x16\x03\x01\x02\x00').code, FAULT_METHOD);
});

// RFC 9112, section 3.
test('readRequestHead() refuses an overlong method', () => {
  assert.ok(withTarget('/', 'X'.repeat(METHOD_BYTES_MAX)).code > 0);
  assert.equal(readRequest('X'.repeat(METHOD_BYTES_MAX + 1)).code, FAULT_METHOD_UNKNOWN);
});

test('readRequestHead() refuses CONNECT before its target', () => {
  assert.equal(readRequest('CONNECT ').code, FAULT_CONNECT_METHOD);
});

// RFC 9112, section 3.2.
test('readRequestHead() tells the forms of a target apart', () => {
  assert.equal(withTarget('/').head.targetForm, TARGET_ORIGIN);
  assert.equal(withTarget('*', 'OPTIONS').head.targetForm, TARGET_ASTERISK);
  const reading = withTarget('HTTP://a.example/x?y');
  assert.equal(reading.head.targetForm, TARGET_ABSOLUTE);
  assert.equal(textOf(reading, reading.head.targetAuthorityStart, reading.head.targetAuthorityEnd), 'a.example');
  assert.equal(textOf(reading, reading.head.pathStart, reading.head.pathEnd), '/x?y');
  assert.equal(textOf(reading, reading.head.queryStart, reading.head.pathEnd), '?y');
  assert.equal(reading.head.pathNeedsSlash, false);
  assert.equal(reading.head.targetIsHttps, false);
});

test('readRequestHead() flags an absolute target without path', () => {
  const bare = withTarget('https://a.example');
  assert.equal(bare.head.pathNeedsSlash, true);
  assert.equal(bare.head.pathStart, bare.head.pathEnd);
  assert.equal(bare.head.targetIsHttps, true);
  const query = withTarget('http://a.example?x=/');
  assert.equal(query.head.pathNeedsSlash, true);
  assert.equal(textOf(query, query.head.pathStart, query.head.pathEnd), '?x=/');
});

test('readRequestHead() refuses other targets', () => {
  for (const target of [
    'a',
    'a.example:80',
    '**',
    '*/',
    'ftp://a.example/',
    'http:/a',
    'http:',
    '?x',
    '\\',
    '%2f',
    'http://a.example\\@b/',
  ]) {
    assert.equal(withTarget(target, 'OPTIONS').code, FAULT_REQUEST_TARGET, target);
  }
});

test('readRequestHead() refuses bytes that no target has', () => {
  for (const byte of ['\0', '\x01', '\t', '\x7f', '\x80', '\xff', '#'])
    assert.equal(withTarget(`/a${byte}b`).code, FAULT_REQUEST_TARGET, JSON.stringify(byte));
  assert.ok(withTarget('/a|b"<>^`{}[]\\').code > 0);
});

// RFC 3986, section 2.1.
test('readRequestHead() refuses a path whose escapes cannot be decoded', () => {
  for (const target of ['/%', '/%2', '/%2/', '/%zz', '/a%g0', '/%00', '/%%20', '/%?20'])
    assert.equal(withTarget(target).code, FAULT_REQUEST_TARGET, target);
  for (const target of ['/%20', '/%fF/%01', '/?100%', '/?%zz', '/?a?%']) assert.ok(withTarget(target).code > 0, target);
});

test('readRequestHead() bounds the target', () => {
  const limits = { ...LIMITS, targetBytesMax: 10 };
  const code = (target: string): number => readRequest(`GET ${target} HTTP/1.1\r\n${HOST}`, limits).code;
  assert.ok(code(`/${'a'.repeat(9)}`) > 0);
  assert.equal(code(`/${'a'.repeat(10)}`), FAULT_TARGET_TOO_LONG);
  assert.equal(code(`/${'a'.repeat(9)}#`), FAULT_REQUEST_TARGET);
  assert.equal(code(`/${'a'.repeat(8)}%`), FAULT_REQUEST_TARGET);
  assert.equal(code(`/${'a'.repeat(8)}%20`), FAULT_TARGET_TOO_LONG);
  // The byte that is one too many comes before the one that spoils the escape.
  assert.equal(code(`/${'a'.repeat(8)}%2z`), FAULT_TARGET_TOO_LONG);
});

// RFC 9112, section 3: single spaces.
test('readRequestHead() refuses a request line in any other shape', () => {
  const cases: readonly (readonly [string, number])[] = [
    ['GET /\r\n', FAULT_REQUEST_LINE],
    ['GET\r\n', FAULT_REQUEST_LINE],
    ['GET  / HTTP/1.1\r\n', FAULT_REQUEST_LINE],
    ['GET /  HTTP/1.1\r\n', FAULT_REQUEST_LINE],
    ['GET / HTTP/1.1 \r\n', FAULT_REQUEST_LINE],
    ['GET / \r\n', FAULT_REQUEST_LINE],
    ['GET\t/ HTTP/1.1\r\n', FAULT_METHOD],
    ['GET /\tHTTP/1.1\r\n', FAULT_REQUEST_TARGET],
    ['GET / HTTP/1.1\n', FAULT_BARE_LF],
    ['GET /\n', FAULT_BARE_LF],
    ['GET\n', FAULT_BARE_LF],
    ['GET / \n', FAULT_BARE_LF],
    ['GET / HTTP/1.1\rX', FAULT_BARE_CR],
  ];
  for (const [text, fault] of cases) assert.equal(readRequest(text).code, fault, JSON.stringify(text));
});

// RFC 9112, section 2.3.
test('readRequestHead() knows HTTP/1.0 and HTTP/1.1, and takes what is newer for HTTP/1.1', () => {
  for (const [version, minor, isNewer] of [
    ['1.0', 0, false],
    ['1.1', 1, false],
    ['1.2', 1, true],
    ['1.9', 1, true],
  ] as const) {
    const { code, head } = readRequest(`GET / HTTP/${version}\r\n${HOST}`);
    assert.ok(code > 0, version);
    assert.deepEqual([head.versionMinor, head.versionIsNewer], [minor, isNewer], version);
  }
  // Without Host: what is asked of HTTP/1.1 is asked of its successors.
  assert.equal(readRequest('GET / HTTP/1.2\r\n\r\n').code, FAULT_HOST);
  for (const version of ['HTTP/2.0', 'HTTP/0.9', 'HTTP/3.0', 'HTTP/9.9']) {
    assert.equal(readRequest(`GET / ${version}\r\n${HOST}`).code, FAULT_REQUEST_VERSION, version);
  }
  for (const version of [
    'http/1.1',
    'HTTP/1',
    'HTTP/1,1',
    'HTTP/11',
    'HTTP/3',
    'HTTP/01.1',
    'HTTP/20.1',
    'HTTP/x.1',
    'HTTP1.1',
    'HTTP/1.1x',
    'HTTP/1.10',
    'HTTP /1.1',
    'HTTPS/1.1',
    'ICY/1.1',
  ]) {
    assert.equal(readRequest(`GET / ${version}\r\n${HOST}`).code, FAULT_REQUEST_LINE, version);
  }
});

// RFC 9113, section 3.4.
test('readRequestHead() recognises the preface of HTTP/2 as soon as it can', () => {
  assert.equal(readRequest('PRI * HTTP/2').code, FAULT_H2_PREFACE);
  assert.equal(readRequest('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n').code, FAULT_H2_PREFACE);
  assert.equal(readRequest('PRI / HTTP/2.').code, FAULT_REQUEST_VERSION);
});

// RFC 9112, section 2.2.
test('readRequestHead() passes over one empty line in front', () => {
  const text = `\r\nGET / HTTP/1.1\r\n${HOST}`;
  const reading = readRequest(text);
  assert.equal(reading.code, text.length);
  assert.equal(reading.head.lineStart, HEAD_AT + 2);
  assert.equal(readRequest(`\r\n${text}`).code, FAULT_REQUEST_LINE);
  assert.equal(readRequest(`\nGET / HTTP/1.1\r\n${HOST}`).code, FAULT_BARE_LF);
  assert.equal(readRequest('\rG').code, FAULT_BARE_CR);
});

test('readRequestHead() finds faults in a partial head', () => {
  assert.equal(readRequest('GET / HTTP/1.1\r\nHost: a\r\n ').code, FAULT_OBS_FOLD);
  assert.equal(readRequest('GET / HTTP/1.1\r\nHost :').code, FAULT_FIELD_NAME);
  assert.equal(readRequest('GET / HTTP/1.1\r\nHost: a').code, NEED_MORE);
  assert.equal(readRequest('').code, NEED_MORE);
});

test('readRequestHead() bounds the head', () => {
  const text = `GET / HTTP/1.1\r\n${HOST}`;
  const code = (bytes: string, headBytesMax: number): number => readRequest(bytes, { ...LIMITS, headBytesMax }).code;
  assert.equal(code(text, text.length), text.length);
  assert.equal(code(text, text.length - 1), FAULT_HEAD_TOO_LARGE);
  assert.equal(code(text.slice(0, -1), text.length), NEED_MORE);
  assert.equal(code(text.slice(0, -1), text.length - 1), FAULT_HEAD_TOO_LARGE);
  assert.equal(code(`${text}more than fits`, text.length), text.length);
});

test('readRequestHead() bounds the fields', () => {
  const head = (count: number): string => `GET / HTTP/1.1\r\n${'a: 1\r\n'.repeat(count - 1)}${HOST}`;
  assert.ok(readRequest(head(LIMITS.fieldsMax)).code > 0);
  assert.equal(readRequest(head(LIMITS.fieldsMax + 1)).code, FAULT_TOO_MANY_FIELDS);
});

test('readRequestHead() leaves nothing of the request before', () => {
  const read = (head: MessageHead, text: string): Reading => {
    const buf = Buffer.from(text, 'latin1');
    return { code: readRequestHead(buf, 0, buf.length, LIMITS, head), head, buf };
  };
  const plain = 'GET / HTTP/1.0\r\nA: b\r\n\r\n';
  for (const before of [
    'OPTIONS https://a:1?q HTTP/1.1\r\nHost: a:1\r\nConnection: close, upgrade, x\r\nUpgrade: y\r\nX: 1\r\nContent-Length: 0\r\n\r\n',
    'POST /?a HTTP/1.1\r\nConnection: keep-alive\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: A\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\nUpgrade: a\r\nUpgrade: a\r\nExpect: x\r\n\r\n',
  ]) {
    const head = new MessageHead();
    read(head, before);
    assert.deepEqual(summaryOf(read(head, plain)), summaryOf(read(new MessageHead(), plain)), before);
  }
});

// RFC 9112, section 4.
test('readResponseHead() reads status lines', () => {
  for (const [line, status, reason] of [
    ['HTTP/1.1 200 OK', 200, 'OK'],
    ['HTTP/1.0 404 Not \tFound \x80', 404, 'Not \tFound \x80'],
    ['HTTP/1.1 599 ', 599, ''],
    ['HTTP/1.1 200', 200, ''],
    ['HTTP/1.2 200 OK', 200, 'OK'],
  ] as const) {
    const text = `${line}\r\nA: b\r\n\r\n`;
    const reading = readResponse(`${text}body`);
    assert.equal(reading.code, text.length);
    assert.equal(reading.head.status, status);
    assert.equal(textOf(reading, reading.head.reasonStart, reading.head.reasonEnd), reason);
  }
});

test('readResponseHead() refuses other status lines', () => {
  for (const line of [
    '',
    ' HTTP/1.1 200 OK',
    'HTTP/1.1  200 OK',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 099 x',
    'HTTP/1.1 600 x',
    'HTTP/1.1 2x0 x',
    'HTTP/2.0 200 OK',
    'HTTP/1.x 200 OK',
    'HTTP/1.10 200 OK',
    'http/1.1 200 OK',
    'ICY 200 OK',
    'HTTP/1.1 200\tOK',
    'HTTP/1.1 200 O\0K',
    'HTTP/1.1 200 O\x7fK',
    'HTTP/1.1 200 OK\n',
  ]) {
    assert.equal(readResponse(`${line}\r\n\r\n`).code, FAULT_STATUS_LINE, JSON.stringify(line));
  }
  assert.equal(readResponse('HTTP/1.1 200 OK\rX').code, FAULT_STATUS_LINE);
});

test('readResponseHead() answers every other fault with one of the server', () => {
  for (const rest of ['a : b\r\n\r\n', 'a: b\n\r\n', 'a: b\r\n c\r\n\r\n', 'a\r\n\r\n', 'a: \0\r\n\r\n', 'a: 1\r\n'.repeat(101)]) {
    assert.equal(readResponse(`HTTP/1.1 200 OK\r\n${rest}`).code, FAULT_RESPONSE_HEAD, JSON.stringify(rest));
  }
  assert.equal(readResponse('HTTP/1.1 200 OK\r\n', METHOD_GET, { ...LIMITS, headBytesMax: 17 }).code, FAULT_RESPONSE_HEAD);
});

test('headMayBeComplete() looks for the end of a line in what is new', () => {
  const buf = Buffer.from('ab\ncd');
  assert.equal(headMayBeComplete(buf, 0, 5), true);
  assert.equal(headMayBeComplete(buf, 2, 3), true);
  assert.equal(headMayBeComplete(buf, 3, 5), false);
  assert.equal(headMayBeComplete(buf, 0, 2), false);
  assert.equal(headMayBeComplete(buf, 3, 3), false);
});

// --- properties ---

const pieces = fc.constantFrom(
  'GET',
  'POST',
  'PRI',
  'OPTIONS',
  'HEAD',
  'CONNECT',
  ' ',
  '  ',
  '/',
  '/a%20b',
  '%',
  '%0',
  '*',
  '?q',
  'http://a/',
  'https://a:1',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/2',
  '\r\n',
  '\r\n',
  '\r\n',
  '\r',
  '\n',
  'Host: a\r\n',
  'Host: a\r\n',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Connection: close\r\n',
  'Connection: upgrade, x\r\n',
  'Upgrade: websocket\r\n',
  'X: y\r\n',
  ': ',
  '\t',
  '\0',
  '\x80',
  'Content_Length: 1\r\n',
  'Expect: 100-continue\r\n',
  'HTTP/1.1 200 OK\r\n',
  'HTTP/1.1 101 \r\n',
);
const soup = fc.array(pieces, { maxLength: 14 }).map((parts) => parts.join(''));
const nearlyGood = fc
  .tuple(
    fc.array(fc.constantFrom('Host: a', 'X: y', 'Content-Length: 3', 'Connection: X', 'Upgrade: z', 'Expect: 100-continue'), {
      maxLength: 6,
    }),
    soup,
    fc.boolean(),
  )
  .map(
    ([lines, tail, isRequest]) =>
      `${isRequest ? 'GET /%41?% HTTP/1.1' : 'HTTP/1.1 200 OK'}\r\n${lines.map((line) => `${line}\r\n`).join('')}${tail}`,
  );
const input = fc.oneof(soup, nearlyGood);
const tight = fc.record({
  headBytesMax: fc.integer({ min: 1, max: 160 }),
  fieldsMax: fc.integer({ min: 1, max: 5 }),
  targetBytesMax: fc.integer({ min: 1, max: 12 }),
});

/** What a caller sees that gets `text` in growing prefixes: the first result that is not NEED_MORE. */
function readGrowing(read: (text: string) => Reading, text: string, cuts: readonly number[]): Reading {
  for (const cut of cuts) {
    const reading = read(text.slice(0, cut));
    if (reading.code !== NEED_MORE) return reading;
  }
  return read(text);
}

test('readRequestHead() gives the same result however the bytes are cut', () => {
  fc.assert(
    fc.property(input, fc.option(tight, { nil: LIMITS }), fc.array(fc.nat(200), { maxLength: 8 }), (text, limits, cuts) => {
      const read = (part: string): Reading => readRequest(part, limits);
      const sorted = cuts.filter((cut) => cut < text.length).sort((a, b) => a - b);
      assert.deepEqual(summaryOf(readGrowing(read, text, sorted)), summaryOf(read(text)));
      assert.deepEqual(
        summaryOf(
          readGrowing(
            read,
            text,
            Array.from(text, (_, i) => i),
          ),
        ),
        summaryOf(read(text)),
      );
    }),
    { numRuns: 800 },
  );
});

test('readResponseHead() gives the same result however the bytes are cut', () => {
  fc.assert(
    fc.property(input, fc.constantFrom(METHOD_GET, METHOD_HEAD), fc.option(tight, { nil: LIMITS }), (text, method, limits) => {
      const read = (part: string): Reading => readResponse(part, method, limits);
      assert.deepEqual(
        summaryOf(
          readGrowing(
            read,
            text,
            Array.from(text, (_, i) => i),
          ),
        ),
        summaryOf(read(text)),
      );
    }),
    { numRuns: 500 },
  );
});
