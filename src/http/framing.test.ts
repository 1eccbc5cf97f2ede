import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  FAULT_CODING_UNKNOWN,
  FAULT_CONNECT_METHOD,
  FAULT_CONTENT_LENGTH,
  FAULT_EXPECT,
  FAULT_FIELD_NAME,
  FAULT_FIELD_VALUE,
  FAULT_HOST,
  FAULT_HOST_DISAGREES,
  FAULT_LENGTH_AND_CODING,
  FAULT_LENGTH_REQUIRED,
  FAULT_REQUEST_TARGET,
  FAULT_RESPONSE_FRAMING,
  FAULT_RESPONSE_HEAD,
  FAULT_TRANSFER_ENCODING,
  FAULT_UPGRADE,
} from '../base/faults.ts';
import { CONNECTION_OPTIONS_MAX } from '../base/limits.ts';
import { judgeRequest } from './framing.ts';
import {
  FRAMING_CHUNKED,
  FRAMING_CLOSE,
  FRAMING_LENGTH,
  FRAMING_NONE,
  FRAMING_TUNNEL,
  METHOD_CONNECT,
  METHOD_GET,
  METHOD_HEAD,
  MessageHead,
} from './message-head.ts';
import { droppedOf, readRequest, requestWith, responseWith, textOf } from './test-heads.ts';

// --- length and coding of requests, RFC 9112, sections 6.1 to 6.3 ---

test('judgeRequest() sees no body without Content-Length and Transfer-Encoding', () => {
  const { head, code } = requestWith([], '1.1', 'POST');
  assert.ok(code > 0);
  assert.equal(head.framing, FRAMING_NONE);
  assert.equal(head.contentLength, 0);
});

test('judgeRequest() reads Content-Length up to 2^53 - 1', () => {
  for (const [text, value] of [
    ['0', 0],
    ['5', 5],
    ['0005', 5],
    ['9007199254740991', 2 ** 53 - 1],
  ] as const) {
    const { head, code } = requestWith([`Content-Length: ${text}`]);
    assert.ok(code > 0, text);
    assert.equal(head.framing, FRAMING_LENGTH);
    assert.equal(head.contentLength, value);
  }
});

test('judgeRequest() refuses every other Content-Length', () => {
  for (const text of [
    '',
    '-1',
    '+1',
    '0x10',
    '1e3',
    '5 5',
    '5,5',
    '5, 5',
    '1.0',
    '9007199254740992',
    '99999999999999999999',
    '\xb2',
    '5;',
    "5'",
  ]) {
    assert.equal(requestWith([`Content-Length: ${text}`]).code, FAULT_CONTENT_LENGTH, text);
  }
});

// RFC 9112, section 6.3 would allow equal ones to be merged.
test('judgeRequest() refuses a second Content-Length, equal or not', () => {
  assert.equal(requestWith(['Content-Length: 5', 'Content-Length: 5']).code, FAULT_CONTENT_LENGTH);
  assert.equal(requestWith(['Content-Length: 5', 'content-length: 6']).code, FAULT_CONTENT_LENGTH);
});

test('judgeRequest() takes "chunked" in any case as the one coding', () => {
  for (const coding of ['chunked', 'Chunked', 'CHUNKED']) {
    const { head, code } = requestWith([`Transfer-Encoding: ${coding}`]);
    assert.ok(code > 0);
    assert.equal(head.framing, FRAMING_CHUNKED);
  }
});

test('judgeRequest() answers unknown codings with 501', () => {
  for (const coding of ['gzip', 'identity', 'gzip, chunked', 'xchunked', 'chunked1', 'deflate,gzip']) {
    assert.equal(requestWith([`Transfer-Encoding: ${coding}`]).code, FAULT_CODING_UNKNOWN, coding);
  }
});

test('judgeRequest() refuses a coding that frames nothing', () => {
  for (const coding of [
    '',
    ',',
    'chunked, chunked',
    'chunked,gzip',
    'chunked;q=1',
    '"chunked"',
    'chunked,',
    ',chunked',
    'gzip;x',
    '[chunked]',
  ]) {
    assert.equal(requestWith([`Transfer-Encoding: ${coding}`]).code, FAULT_TRANSFER_ENCODING, coding);
  }
});

test('judgeRequest() refuses Transfer-Encoding twice', () => {
  assert.equal(requestWith(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']).code, FAULT_TRANSFER_ENCODING);
  assert.equal(requestWith(['Transfer-Encoding: gzip', 'Transfer-Encoding: chunked']).code, FAULT_TRANSFER_ENCODING);
});

test('judgeRequest() refuses Transfer-Encoding in HTTP/1.0', () => {
  assert.equal(requestWith(['Transfer-Encoding: chunked'], '1.0').code, FAULT_TRANSFER_ENCODING);
});

test('judgeRequest() refuses Content-Length with Transfer-Encoding, in any order', () => {
  assert.equal(requestWith(['Content-Length: 5', 'Transfer-Encoding: chunked']).code, FAULT_LENGTH_AND_CODING);
  assert.equal(requestWith(['Transfer-Encoding: chunked', 'Content-Length: 0']).code, FAULT_LENGTH_AND_CODING);
  assert.equal(requestWith(['Transfer-Encoding: gzip', 'Content-Length: 0']).code, FAULT_LENGTH_AND_CODING);
});

test('judgeRequest() refuses framing names spelt with "_"', () => {
  for (const line of ['Content_Length: 5', 'Transfer_Encoding: chunked', 'X_Forwarded_For: 1.1.1.1', 'x-real_ip: 1.1.1.1']) {
    assert.equal(requestWith([line]).code, FAULT_FIELD_NAME, line);
  }
  assert.ok(requestWith(['my_name: 1']).code > 0);
});

// --- address, RFC 9112, section 3.2 ---

test('judgeRequest() wants exactly one Host in HTTP/1.1', () => {
  assert.equal(readRequest('GET / HTTP/1.1\r\n\r\n').code, FAULT_HOST);
  assert.equal(requestWith(['Host: a', 'Host: a']).code, FAULT_HOST);
  assert.equal(requestWith(['Host:']).code, FAULT_HOST);
  assert.equal(requestWith(['Host: a, b']).code, FAULT_HOST);
});

test('judgeRequest() wants the length of a body in HTTP/1.0', () => {
  for (const method of ['POST', 'PUT', 'PATCH']) {
    assert.equal(requestWith([], '1.0', method).code, FAULT_LENGTH_REQUIRED);
    assert.ok(requestWith(['Content-Length: 0'], '1.0', method).code > 0);
    assert.ok(requestWith([], '1.1', method).code > 0);
  }
  assert.ok(requestWith([], '1.0', 'DELETE').code > 0);
});

test('judgeRequest() wants at most one Host in HTTP/1.0', () => {
  const { code, head } = readRequest('GET / HTTP/1.0\r\n\r\n');
  assert.ok(code > 0);
  assert.deepEqual([head.hostStart, head.hostEnd, head.authorityStart, head.authorityEnd], [0, 0, 0, 0]);
  assert.equal(requestWith(['Host: a', 'Host: a'], '1.0').code, FAULT_HOST);
  assert.equal(requestWith(['Host: a b'], '1.0').code, FAULT_HOST);
});

test('judgeRequest() splits Host into host and authority', () => {
  const reading = requestWith(['Host: [::1]:8443']);
  const { head } = reading;
  assert.equal(textOf(reading, head.hostStart, head.hostEnd), '[::1]');
  assert.equal(textOf(reading, head.authorityStart, head.authorityEnd), '[::1]:8443');
});

test('judgeRequest() wants an absolute target to agree with Host', () => {
  const absolute = (target: string, host: string): number => readRequest(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`).code;
  assert.ok(absolute('http://a.example/x', 'A.example') > 0);
  assert.ok(absolute('http://a.example:80/', 'a.example') > 0);
  assert.ok(absolute('https://a.example/', 'a.example:443') > 0);
  assert.ok(absolute('https://a.example:8443/', 'a.example:8443') > 0);
  assert.equal(absolute('http://a.example/', 'b.example'), FAULT_HOST_DISAGREES);
  assert.equal(absolute('https://a.example:80/', 'a.example'), FAULT_HOST_DISAGREES);
  assert.equal(absolute('http://a.example:81/', 'a.example:82'), FAULT_HOST_DISAGREES);
  assert.equal(absolute('http://u@a.example/', 'a.example'), FAULT_REQUEST_TARGET);
  assert.equal(absolute('http:///x', 'a.example'), FAULT_REQUEST_TARGET);
  assert.equal(readRequest('GET http://a.example/ HTTP/1.1\r\n\r\n').code, FAULT_HOST);
});

test('judgeRequest() takes the host of an absolute target in HTTP/1.0 without Host', () => {
  const reading = readRequest('GET http://a.example:81/x HTTP/1.0\r\n\r\n');
  assert.ok(reading.code > 0);
  assert.equal(textOf(reading, reading.head.hostStart, reading.head.hostEnd), 'a.example');
  assert.equal(textOf(reading, reading.head.authorityStart, reading.head.authorityEnd), 'a.example:81');
});

// RFC 9112, section 3.2.4.
test('judgeRequest() knows the asterisk form for OPTIONS only', () => {
  assert.ok(readRequest('OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n').code > 0);
  assert.equal(readRequest('GET * HTTP/1.1\r\nHost: a\r\n\r\n').code, FAULT_REQUEST_TARGET);
});

test('judgeRequest() refuses CONNECT for every protocol version', () => {
  const head = new MessageHead();
  head.method = METHOD_CONNECT;
  assert.equal(judgeRequest(new Uint8Array(0), head), FAULT_CONNECT_METHOD);
});

// --- the connection, RFC 9112, section 9.3; RFC 9110, section 7.6.1 ---

test('judgeRequest() keeps the connection as version and Connection say', () => {
  assert.equal(requestWith([]).head.keepAlive, true);
  assert.equal(requestWith(['Connection: close']).head.keepAlive, false);
  assert.equal(requestWith(['Connection: x, CLOSE ,']).head.keepAlive, false);
  assert.equal(requestWith(['Connection: keep-alive, close']).head.keepAlive, false);
  assert.equal(requestWith(['Connection: keep-alive', 'Connection: close']).head.keepAlive, false);
  assert.equal(requestWith([], '1.0').head.keepAlive, false);
  assert.equal(requestWith(['Connection: Keep-Alive'], '1.0').head.keepAlive, true);
});

test('judgeRequest() drops what ends at this hop, what is ours and what Connection names', () => {
  const reading = requestWith([
    'Keep-Alive: timeout=5',
    'x-custom: 1',
    'Proxy-Connection: keep-alive',
    'TE: trailers',
    'Connection: TE, X-Custom',
    'X-CUSTOM: 2',
    'Accept: */*',
    'X-Forwarded-For: 6.6.6.6',
    'X-Forwarded-Whatever: 1',
    'Forwarded: for=6.6.6.6',
    'X-Real-IP: 6.6.6.6',
    'X-Request-ID: 1',
    'Proxy: http://evil.example',
    'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
    'Trailer: x',
    'Cookie: a=b',
  ]);
  assert.ok(reading.code > 0);
  const kept = ['Host', 'Accept', 'Cookie'];
  assert.deepEqual(
    kept.filter((name) => droppedOf(reading).includes(name)),
    [],
  );
  assert.equal(droppedOf(reading).length, reading.head.fieldCount - kept.length);
});

test('judgeRequest() keeps Trailer in front of chunks', () => {
  assert.deepEqual(droppedOf(requestWith(['Trailer: x', 'Transfer-Encoding: chunked'])), ['Transfer-Encoding']);
});

test('judgeRequest() refuses a Connection that names what the server needs', () => {
  for (const name of [
    'Host',
    'content-length',
    'Transfer-Encoding',
    'X-Forwarded-For',
    'Authorization',
    'Cookie',
    'Content-Type',
    'content_length',
  ]) {
    assert.equal(requestWith([`Connection: close, ${name}`]).code, FAULT_FIELD_VALUE, name);
  }
});

test('judgeRequest() refuses a Connection that is no list of tokens', () => {
  for (const value of ['close keep-alive', 'a;b', '"close"', 'close/', '@']) {
    assert.equal(requestWith([`Connection: ${value}`]).code, FAULT_FIELD_VALUE, value);
  }
  assert.ok(requestWith(['Connection: ,, close ,\t,']).code > 0);
  assert.ok(requestWith(['Connection:']).code > 0);
});

test('judgeRequest() bounds the names in Connection', () => {
  const names = (count: number): string => `Connection: ${Array.from({ length: count }, (_, i) => `n${i}`).join(',')}`;
  assert.ok(requestWith([names(CONNECTION_OPTIONS_MAX - 1)]).code > 0);
  assert.equal(requestWith([names(CONNECTION_OPTIONS_MAX + 1)]).code, FAULT_FIELD_VALUE);
});

// --- Expect and Upgrade, RFC 9110, sections 10.1.1 and 7.8 ---

test('judgeRequest() knows 100-continue and no other expectation', () => {
  const { head } = requestWith(['Expect: 100-Continue', 'Content-Length: 5']);
  assert.equal(head.expectContinue, true);
  assert.equal(requestWith(['Expect: 100-continued', 'Content-Length: 5']).code, FAULT_EXPECT);
  assert.equal(requestWith(['Expect: a=b']).code, FAULT_EXPECT);
  assert.equal(requestWith(['Expect: 100-continue', 'Expect: 100-continue', 'Content-Length: 5']).code, FAULT_EXPECT);
});

test('judgeRequest() drops 100-continue from HTTP/1.0 and without a body', () => {
  for (const reading of [requestWith(['Expect: 100-continue', 'Content-Length: 5'], '1.0'), requestWith(['Expect: 100-continue'])]) {
    assert.ok(reading.code > 0);
    assert.equal(reading.head.expectContinue, false);
    assert.ok(droppedOf(reading).includes('Expect'));
  }
});

test('judgeRequest() finds an upgrade when Connection lists it', () => {
  const reading = requestWith(['Connection: keep-alive, Upgrade', 'Upgrade: websocket']);
  assert.equal(textOf(reading, reading.head.upgradeStart, reading.head.upgradeEnd), 'websocket');
  assert.deepEqual(droppedOf(reading), ['Connection', 'Upgrade']);
});

test('judgeRequest() ignores an upgrade that cannot be made', () => {
  for (const reading of [
    requestWith(['Upgrade: websocket']),
    requestWith(['Connection: upgrade']),
    requestWith(['Connection: upgrade', 'Upgrade: websocket'], '1.0'),
    requestWith(['Connection: upgrade', 'Upgrade: websocket', 'Content-Length: 5']),
    requestWith(['Connection: upgrade', 'Upgrade: websocket', 'Transfer-Encoding: chunked']),
    requestWith(['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMA']),
    requestWith(['Connection: Upgrade', 'Upgrade: websocket, H2C']),
  ]) {
    assert.ok(reading.code > 0);
    assert.deepEqual([reading.head.upgradeStart, reading.head.upgradeEnd], [0, 0]);
  }
});

test('judgeRequest() refuses an Upgrade that is repeated or malformed', () => {
  assert.equal(requestWith(['Connection: upgrade', 'Upgrade: websocket', 'Upgrade: websocket']).code, FAULT_UPGRADE);
  for (const value of ['', ',', 'a b', 'a/', '/1', 'a/b/c', '"websocket"']) {
    assert.equal(requestWith(['Connection: upgrade', `Upgrade: ${value}`]).code, FAULT_UPGRADE, value);
  }
  assert.ok(requestWith(['Connection: upgrade', 'Upgrade: TLS/1.0, x']).code > 0);
});

// --- responses, RFC 9112, section 6.3 ---

test('judgeResponse() chooses length, chunks, or the end of the connection', () => {
  assert.equal(responseWith(200, ['Content-Length: 5']).head.framing, FRAMING_LENGTH);
  assert.equal(responseWith(200, ['Content-Length: 5']).head.contentLength, 5);
  assert.equal(responseWith(200, ['Transfer-Encoding: chunked']).head.framing, FRAMING_CHUNKED);
  const { head } = responseWith(200, []);
  assert.equal(head.framing, FRAMING_CLOSE);
  assert.equal(head.keepAlive, false);
});

test('judgeResponse() sees no body in 1xx, 204, 304 and answers to HEAD', () => {
  for (const status of [100, 103, 199, 204, 304]) assert.equal(responseWith(status, []).head.framing, FRAMING_NONE, String(status));
  assert.equal(responseWith(304, ['Content-Length: 5']).head.framing, FRAMING_NONE);
  assert.equal(responseWith(200, ['Transfer-Encoding: chunked'], METHOD_HEAD).head.framing, FRAMING_NONE);
  assert.equal(responseWith(204, ['Content-Length: 0']).head.framing, FRAMING_NONE);
});

// RFC 9110, section 8.6.
test('judgeResponse() keeps the Content-Length that tells what GET would bring', () => {
  for (const reading of [responseWith(200, ['Content-Length: 5'], METHOD_HEAD), responseWith(304, ['Content-Length: 5'])]) {
    assert.deepEqual(droppedOf(reading), []);
    assert.equal(reading.head.contentLength, 0);
  }
  assert.deepEqual(droppedOf(responseWith(204, ['Content-Length: 0'])), ['Content-Length']);
});

test('judgeResponse() refuses framing with two readings', () => {
  for (const lines of [
    ['Content-Length: 5', 'Transfer-Encoding: chunked'],
    ['Content-Length: 5', 'Content-Length: 5'],
    ['Content-Length: 5, 5'],
    ['Content-Length: -1'],
    ['Transfer-Encoding: gzip, chunked'],
    ['Transfer-Encoding: gzip'],
    ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
  ]) {
    assert.equal(responseWith(200, lines).code, FAULT_RESPONSE_FRAMING, lines.join());
    assert.equal(responseWith(200, lines, METHOD_HEAD).code, FAULT_RESPONSE_FRAMING, lines.join());
  }
  assert.equal(responseWith(200, ['Transfer-Encoding: chunked'], METHOD_GET, '1.0').code, FAULT_RESPONSE_FRAMING);
});

// RFC 9112, section 6.1: "MUST NOT" in both; a body that follows would be read as the next response.
test('judgeResponse() refuses an announced body where there can be none', () => {
  for (const status of [100, 204]) {
    assert.equal(responseWith(status, ['Transfer-Encoding: chunked']).code, FAULT_RESPONSE_FRAMING);
    assert.equal(responseWith(status, ['Content-Length: 1']).code, FAULT_RESPONSE_FRAMING);
  }
});

// RFC 9110, section 15.2.2.
test('judgeResponse() makes a tunnel of a 101 that names its protocol', () => {
  const reading = responseWith(101, ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Accept: x']);
  assert.equal(reading.head.framing, FRAMING_TUNNEL);
  assert.equal(reading.head.keepAlive, false);
  assert.equal(textOf(reading, reading.head.upgradeStart, reading.head.upgradeEnd), 'websocket');
  assert.equal(responseWith(101, ['Upgrade: websocket']).code, FAULT_RESPONSE_HEAD);
  assert.equal(responseWith(101, ['Connection: upgrade']).code, FAULT_RESPONSE_HEAD);
  assert.equal(responseWith(101, ['Connection: upgrade', 'Upgrade: h2c']).code, FAULT_RESPONSE_HEAD);
});

test('judgeResponse() minds Upgrade only in a 101', () => {
  const reading = responseWith(200, ['Connection: Upgrade, Keep-Alive', 'Upgrade: h2,h2c', 'Upgrade: x', 'Content-Length: 0']);
  assert.ok(reading.code > 0);
  assert.equal(reading.head.upgradeEnd, 0);
  assert.deepEqual(droppedOf(reading), ['Connection', 'Upgrade', 'Upgrade', 'Content-Length']);
});

test('judgeResponse() drops hop-by-hop fields and keeps the rest', () => {
  const reading = responseWith(200, [
    'Connection: x-hop',
    'X-Hop: 1',
    'Keep-Alive: 5',
    'X-Request-ID: 1',
    'content_length: 3',
    'Expect: x',
    'Host: a',
    'Host: b',
  ]);
  assert.ok(reading.code > 0);
  assert.deepEqual(droppedOf(reading), ['Connection', 'X-Hop', 'Keep-Alive']);
  assert.equal(responseWith(200, ['Connection: Set-Cookie']).code, FAULT_RESPONSE_HEAD);
});

test('judgeResponse() keeps the connection as version and Connection say', () => {
  assert.equal(responseWith(200, ['Content-Length: 0']).head.keepAlive, true);
  assert.equal(responseWith(200, ['Content-Length: 0', 'Connection: close']).head.keepAlive, false);
  assert.equal(responseWith(200, ['Content-Length: 0'], METHOD_GET, '1.0').head.keepAlive, false);
  assert.equal(responseWith(200, ['Content-Length: 0', 'Connection: keep-alive'], METHOD_GET, '1.0').head.keepAlive, true);
});
