/**
 * Answers of a server as bytes, with what a strict gateway does about them: passed on, or a 502 of its own with the reason in its access log.
 * Owns the list; how they are brought about is lane.ts's affair.
 */
import { answers, type ResponseCase, type ResponseExpectation, type Row } from './cases.ts';

function bad(reason: string): ResponseExpectation {
  return { status: 502, reason, lacks: ['hello'] };
}

function good(status: number, more: Partial<ResponseExpectation> = {}): ResponseExpectation {
  return { status, reason: null, ...more };
}

/** A 200 with `lines`, and `body` as it stands. */
function ok(lines: readonly string[], body: string): string {
  return `HTTP/1.1 200 OK\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n${body}`;
}

function okChunked(body: string): string {
  return ok(['Transfer-Encoding: chunked'], body);
}

function statusLines(rows: readonly Row[]): Row[] {
  return rows.map(([name, line]) => [name, `${line}\r\nContent-Length: 5\r\n\r\nhello`]);
}

const CHUNKED_HELLO = '5\r\nhello\r\n0\r\n\r\n';
const STOLEN = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen';

const REFUSED: readonly ResponseCase[] = [
  ...answers(
    'One way to tell where the body ends',
    'RFC 9112, 6.3',
    [
      ['length beside chunked', ok(['Content-Length: 5', 'Transfer-Encoding: chunked'], CHUNKED_HELLO)],
      ['chunked beside length', ok(['Transfer-Encoding: chunked', 'Content-Length: 15'], CHUNKED_HELLO)],
      ['two lengths that differ', ok(['Content-Length: 5', 'Content-Length: 6'], 'hello!')],
      ['two lengths that are equal', ok(['Content-Length: 5', 'Content-Length: 5'], 'hello')],
      ['a list of lengths', ok(['Content-Length: 5, 5'], 'hello')],
      ['signed length', ok(['Content-Length: +5'], 'hello')],
      ['negative length', ok(['Content-Length: -5'], 'hello')],
      ['hexadecimal length', ok(['Content-Length: 0x5'], 'hello')],
      ['empty length', ok(['Content-Length:'], 'hello')],
      ['length beyond 2^64', ok(['Content-Length: 18446744073709551621'], 'hello')],
      ['chunked twice', ok(['Transfer-Encoding: chunked, chunked'], CHUNKED_HELLO)],
      ['chunked in two fields', ok(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], CHUNKED_HELLO)],
      ['gzip, chunked', ok(['Transfer-Encoding: gzip, chunked'], CHUNKED_HELLO)],
      ['chunked is not final', ok(['Transfer-Encoding: chunked, gzip'], CHUNKED_HELLO)],
      ['identity', ok(['Transfer-Encoding: identity'], 'hello')],
      ['xchunked', ok(['Transfer-Encoding: xchunked'], CHUNKED_HELLO)],
      ['empty coding', ok(['Transfer-Encoding:'], 'hello')],
      ['chunked in HTTP/1.0', `HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED_HELLO}`],
      ['a length on 204', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello'],
      ['chunked on 204', `HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED_HELLO}`],
      ['a length on 100', `HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello${ok(['Content-Length: 2'], 'ok')}`],
    ],
    bad('response_framing'),
  ),
  ...answers(
    'A status line is version, three digits and a reason',
    'RFC 9112, 4',
    [
      ...statusLines([
        ['lower case', 'http/1.1 200 OK'],
        ['HTTP/2.0', 'HTTP/2.0 200 OK'],
        ['HTTP/0.9', 'HTTP/0.9 200 OK'],
        ['two digits behind the dot', 'HTTP/1.10 200 OK'],
        ['another protocol', 'ICY 200 OK'],
        ['two digits', 'HTTP/1.1 20 OK'],
        ['four digits', 'HTTP/1.1 2000 OK'],
        ['no digits', 'HTTP/1.1 abc OK'],
        ['status 000', 'HTTP/1.1 000 OK'],
        ['status 099', 'HTTP/1.1 099 OK'],
        ['status 600', 'HTTP/1.1 600 OK'],
        ['signed status', 'HTTP/1.1 +20 OK'],
        ['two spaces before the status', 'HTTP/1.1  200 OK'],
        ['tab before the status', 'HTTP/1.1\t200 OK'],
        ['tab behind the status', 'HTTP/1.1 200\tOK'],
        ['NUL in the reason', 'HTTP/1.1 200 O\0K'],
        ['bare CR in the reason', 'HTTP/1.1 200 O\rK'],
        ['no status', 'HTTP/1.1'],
        ['space in front', ' HTTP/1.1 200 OK'],
        ['empty line in front', '\r\nHTTP/1.1 200 OK'],
      ]),
      ['bare LF behind it', 'HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello'],
      ['no head at all', '<html>hello</html>'],
    ],
    bad('status_line'),
  ),
  ...answers(
    'Field lines of a response are as strict',
    'RFC 9112, 5',
    [
      ['space before the colon', ok(['X : a', 'Content-Length: 5'], 'hello')],
      ['folded', ok(['X: a', ' b', 'Content-Length: 5'], 'hello')],
      ['space in front of the first', ok([' X: a', 'Content-Length: 5'], 'hello')],
      ['bare LF', ok(['X: a\nContent-Length: 5'], 'hello')],
      ['bare CR', ok(['X: a\rb', 'Content-Length: 5'], 'hello')],
      ['no colon', ok(['X', 'Content-Length: 5'], 'hello')],
      ['empty name', ok([': a', 'Content-Length: 5'], 'hello')],
      ['NUL in a value', ok(['X: a\0b', 'Content-Length: 5'], 'hello')],
      ['NUL in a name', ok(['X\0: a', 'Content-Length: 5'], 'hello')],
      ['obs-text in a name', ok(['X\xe9: a', 'Content-Length: 5'], 'hello')],
      ['control in a value', ok(['X: a\x01b', 'Content-Length: 5'], 'hello')],
      ['head of 40,000 bytes', ok([`X: ${'a'.repeat(40_000)}`, 'Content-Length: 5'], 'hello')],
      ['300 fields', ok([...Array.from({ length: 300 }, (_, i) => `X-${i}: a`), 'Content-Length: 5'], 'hello')],
      ['Connection names Content-Length', ok(['Connection: content-length', 'Content-Length: 5'], 'hello')],
    ],
    bad('response_head'),
  ),
  ...answers(
    'Chunks of a response are as strict',
    'RFC 9112, 7.1',
    [
      ['no size', okChunked('\r\nhello\r\n0\r\n\r\n')],
      ['0x in front', okChunked('0x5\r\nhello\r\n0\r\n\r\n')],
      ['space in front', okChunked(' 5\r\nhello\r\n0\r\n\r\n')],
      ['space behind', okChunked('5 \r\nhello\r\n0\r\n\r\n')],
      ['bare LF', okChunked('5\nhello\n0\n\n')],
      ['bare LF in an extension', okChunked('5;a\nhello\r\n0\r\n\r\n')],
      ['size beyond 2^64', okChunked('10000000000000005\r\nhello\r\n0\r\n\r\n')],
      ['more data than announced', okChunked('5\r\nhello!\r\n0\r\n\r\n')],
      ['no line end behind the data', okChunked('5\r\nhello0\r\n\r\n')],
      ['extension of 300 bytes', okChunked(`5;${'a'.repeat(300)}\r\nhello\r\n0\r\n\r\n`)],
      ['trailer without a colon', okChunked('5\r\nhello\r\n0\r\nX\r\n\r\n')],
      ['trailer with a bare LF', okChunked('5\r\nhello\r\n0\r\nX: a\n\r\n')],
      ['the body is not chunked', okChunked('hello')],
    ],
    bad('response_chunk'),
  ),
  ...answers(
    'A 101 that nobody asked for is refused',
    'RFC 9110, 15.2.2',
    [['with a protocol', 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello']],
    bad('response_switch'),
  ),
  ...answers(
    'A 101 names its protocol, and not h2c',
    'RFC 9110, 15.2.2 and 7.8',
    [
      ['no Upgrade', 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\nhello'],
      ['no Connection', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nhello'],
      ['h2c', 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nhello'],
    ],
    bad('response_head'),
  ),
  ...answers(
    'An end before the head is whole is 502',
    'RFC 9112, 8',
    [
      ['nothing', ''],
      ['half a status line', 'HTTP/1.1 20'],
      ['half a head', 'HTTP/1.1 200 OK\r\nContent-Le'],
      ['an interim response alone', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'],
    ],
    { status: 502, reason: 'upstream_gone' },
  ).map((each) =>
    each.name === 'an interim response alone' ? { ...each, expect: { ...each.expect, status: 103, holds: ['HTTP/1.1 502 '] } } : each,
  ),
  ...answers(
    'A body that ends too early is seen to',
    'RFC 9112, 8',
    [
      ['less than its length', ok(['Content-Length: 10'], 'hello')],
      ['no last chunk', okChunked('5\r\nhello\r\n')],
      ['half a chunk', okChunked('a\r\nhello')],
      ['no end behind the last chunk', okChunked('5\r\nhello\r\n0\r\n')],
      ['half a trailer', okChunked('5\r\nhello\r\n0\r\nX: a')],
    ],
    { status: 200, reason: 'response_truncated', holds: ['hello'], lacks: ['0\r\n\r\n'], cut: true },
  ),
];

const PASSED: readonly ResponseCase[] = [
  ...answers(
    'What is right passes',
    'RFC 9112, 4 to 7',
    [
      ['length', ok(['Content-Length: 5'], 'hello')],
      ['chunked', okChunked(CHUNKED_HELLO)],
      ['the end of the connection', ok([], 'hello')],
      ['HTTP/1.0 with a length', 'HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
      ['HTTP/1.0 without a length', 'HTTP/1.0 200 OK\r\n\r\nhello'],
      ['no reason', 'HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello'],
      ['no reason and no space', 'HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello'],
      ['obs-text in the reason', 'HTTP/1.1 200 Gr\xfc\xdfe\r\nContent-Length: 5\r\n\r\nhello'],
      ['length with zeros in front', ok(['Content-Length: 05'], 'hello')],
      ['chunk sizes in upper case and with zeros', okChunked('0A\r\nhellohello\r\n00\r\n\r\n')],
      ['empty values and obs-text', ok(['X:', 'Y: \xe9', 'Content-Length: 5'], 'hello')],
    ],
    good(200, { holds: ['hello'] }),
  ),
  ...answers(
    'A higher minor version is HTTP/1.1, and goes on as that',
    'RFC 9110, 2.5; RFC 9112, 2.3',
    [['HTTP/1.2', 'HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello']],
    good(200, { holds: ['HTTP/1.1 200 OK\r\n', 'hello'], lacks: ['HTTP/1.2'] }),
  ),
  ...answers(
    'Extensions are taken off, trailers pass',
    'RFC 9112, 7.1.1 and 7.1.2',
    [
      ['extension', okChunked('5;secret=1\r\nhello\r\n0\r\nX-Sum: a\r\n\r\n')],
      ['quoted extension', okChunked('5;a="secret"\r\nhello\r\n0;secret\r\nX-Sum: a\r\n\r\n')],
    ],
    good(200, { holds: ['hello', '\r\n0\r\nX-Sum: a\r\n\r\n'], lacks: ['secret'] }),
  ),
  ...answers(
    'What ends at this hop is not passed on',
    'RFC 9110, 7.6.1',
    [
      ['Keep-Alive', ok(['Keep-Alive: timeout=5, secret', 'Connection: keep-alive', 'Content-Length: 5'], 'hello')],
      ['a field that Connection names', ok(['X-Secret: 1', 'Connection: x-secret', 'Content-Length: 5'], 'hello')],
    ],
    good(200, { holds: ['hello'], lacks: ['secret'] }),
  ),
  ...answers(
    'What has no body gets none',
    'RFC 9112, 6.3',
    [
      ['204', 'HTTP/1.1 204 No Content\r\n\r\n'],
      ['204 with a length of 0', 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n'],
    ],
    good(204, { lacks: ['chunked', 'content-length: 5'] }),
  ),
  ...answers(
    'A 304 tells the length of what it stands for',
    'RFC 9110, 8.6',
    [['304 with a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n']],
    good(304, { holds: ['Content-Length: 5\r\n'] }),
  ),
  ...answers(
    'The answer to HEAD has no body',
    'RFC 9112, 6.3',
    [['with a length', ok(['Content-Length: 5'], '')]],
    good(200, { holds: ['Content-Length: 5\r\n'] }),
    { method: 'HEAD' },
  ),
  ...answers(
    'The answer to HEAD has no body',
    'RFC 9112, 6.3',
    [['with chunks announced', ok(['Transfer-Encoding: chunked'], '')]],
    good(200, { lacks: ['0\r\n\r\n'] }),
    { method: 'HEAD' },
  ),
  ...answers(
    'Interim responses pass in front',
    'RFC 9110, 15.2',
    [['100', `HTTP/1.1 100 Continue\r\n\r\n${ok(['Content-Length: 5'], 'hello')}`]],
    good(100, { holds: ['HTTP/1.1 200 OK\r\n', 'hello'] }),
  ),
  ...answers(
    'Interim responses pass in front',
    'RFC 9110, 15.2',
    [['103 twice', `${'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(2)}${ok(['Content-Length: 5'], 'hello')}`]],
    good(103, { holds: ['Link: </a>', 'HTTP/1.1 200 OK\r\n', 'hello'] }),
  ),
  ...answers(
    'Interim responses are not for HTTP/1.0',
    'RFC 9110, 15.2',
    [['100 for HTTP/1.0', `HTTP/1.1 100 Continue\r\n\r\n${ok(['Content-Length: 5'], 'hello')}`]],
    good(200, { holds: ['hello'], lacks: ['100 Continue'] }),
    { version: '1.0' },
  ),
  ...answers(
    'HTTP/1.0 gets no chunks',
    'RFC 9112, 7',
    [['chunked for HTTP/1.0', okChunked(CHUNKED_HELLO)]],
    good(200, { holds: ['\r\n\r\nhello'], lacks: ['chunked', '0\r\n'] }),
    { version: '1.0' },
  ),
  ...answers(
    'Bytes behind a response go to nobody',
    'RFC 9112, 9.2 and 11.1',
    [
      ['a second response behind a length', `${ok(['Content-Length: 5'], 'hello')}${STOLEN}`],
      ['a second response behind chunks', `${okChunked(CHUNKED_HELLO)}${STOLEN}`],
      ['garbage behind a length', `${ok(['Content-Length: 5'], 'hello')}stolen`],
    ],
    good(200, { holds: ['hello'], lacks: ['stolen'], spoilt: true }),
    { ends: false },
  ),
  ...answers(
    'Bytes behind a response go to nobody',
    'RFC 9112, 9.2 and 11.1',
    [['a second response behind 204', `HTTP/1.1 204 No Content\r\n\r\n${STOLEN}`]],
    good(204, { lacks: ['stolen'], spoilt: true }),
    { ends: false },
  ),
  ...answers(
    'Bytes behind a response go to nobody',
    'RFC 9112, 9.2 and 11.1',
    [['a second response behind 304', `HTTP/1.1 304 Not Modified\r\nContent-Length: 48\r\n\r\n${STOLEN}`]],
    good(304, { lacks: ['stolen'], spoilt: true }),
    { ends: false },
  ),
  ...answers(
    'Bytes behind a response go to nobody',
    'RFC 9112, 9.2 and 11.1',
    [['a body behind the answer to HEAD', ok(['Content-Length: 48'], STOLEN)]],
    good(200, { lacks: ['stolen'], spoilt: true }),
    { method: 'HEAD', ends: false },
  ),
];

export const RESPONSES: readonly ResponseCase[] = [...REFUSED, ...PASSED];
