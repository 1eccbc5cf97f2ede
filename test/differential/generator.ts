/** Requests and responses that are right, almost right, and wrong: by grammar, then by bytes. Seeded. */

import type { TestRandom } from '../../src/base/test-random.ts';

const METHODS = ['GET', 'GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'PROPFIND', 'BREW', 'get', 'CONNECT', 'PRI'];
const TARGETS = [
  '/',
  '/a',
  '/a/b?c=d',
  '*',
  'http://a.example/',
  'http://b.example/x',
  '/a%20b',
  '/a b',
  'a',
  '',
  '/\xe9',
  '/#x',
  '//x',
  '/"',
  '/\t',
];
const VERSIONS = [
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/1.2',
  'HTTP/2.0',
  'http/1.1',
  'HTTP/1.1 ',
  'HTTP/11',
  '',
];
const ENDS = ['\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r', '\r\r\n', ' \r\n'];
const SPACES = [' ', ' ', ' ', ' ', ' ', '  ', '\t', '\x0b'];
const FIELDS = [
  'Accept: */*',
  'X-Empty:',
  'X-Spaces:  \t a b \t ',
  'X-Latin: caf\xe9',
  'Connection: close',
  'Connection: keep-alive',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Upgrade: h2c',
  'Expect: 100-continue',
  'Cookie: a=b; c=d',
  'TE: trailers',
  'Trailer: X-Sum',
  'X_Under: 1',
  ' Folded: 1',
  'No-Colon',
  'Space : 1',
  ': empty',
  'X-Nul: a\0b',
  'X-Ctl: a\x01b',
  'X-Bare: a\rb',
  'X-(): 1',
  'X-Del: \x7f',
  'N\xe4me: 1',
];
const HOSTS = [
  'Host: a.example',
  'Host: a.example',
  'Host: a.example',
  'Host: a.example:80',
  'Host:',
  'Host: a b',
  'Host: a,b',
  'HOST: [::1]:8',
  '',
];
const LENGTHS = ['0', '5', '5', '5', '+5', '-5', '05', '5 ', '5,5', '5, 5', '0x5', '5a', '', '99999999999999999999', '5\t'];
const CODINGS = [
  'chunked',
  'chunked',
  'chunked',
  'Chunked',
  'gzip, chunked',
  'chunked, gzip',
  'identity',
  'chunked,',
  'xchunked',
  '"chunked"',
  'chunked;q=1',
  '',
];
const CHUNKS = [
  '5\r\nhello\r\n0\r\n\r\n',
  '5\r\nhello\r\n0\r\n\r\n',
  '5;a=b\r\nhello\r\n0\r\n\r\n',
  '5;a="b"\r\nhello\r\n0\r\n\r\n',
  '5 \r\nhello\r\n0\r\n\r\n',
  '5;\r\nhello\r\n0\r\n\r\n',
  '05\r\nhello\r\n000\r\n\r\n',
  'A\r\n0123456789\r\n0\r\n\r\n',
  'a\n0123456789\r\n0\r\n\r\n',
  '5\r\nhello0\r\n\r\n',
  '5\r\nhelloXX0\r\n\r\n',
  '5\r\nhello\n0\r\n\r\n',
  '0x5\r\nhello\r\n0\r\n\r\n',
  '-5\r\nhello\r\n0\r\n\r\n',
  'g\r\nhello\r\n0\r\n\r\n',
  '\r\nhello\r\n0\r\n\r\n',
  'ffffffffffffffffff\r\nhello\r\n0\r\n\r\n',
  '5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
  '5\r\nhello\r\n0\r\nX Sum: 1\r\n\r\n',
  '5\r\nhello\r\n0\r\nContent-Length: 1\r\n\r\n',
  '5\r\nhello\r\n0\r\n\n',
  '5;a\nb\r\nhello\r\n0\r\n\r\n',
  '5\r\nhello\r\n0;x\r\n\r\n',
];
const STATUSES = [
  '200 OK',
  '200 OK',
  '200',
  '204 No Content',
  '304 Not Modified',
  '404 Not Found',
  '100 Continue',
  '101 Switching Protocols',
  '99 x',
  '1000 x',
  '20a x',
  '200 a\tb',
  '200 \xe9',
];

export function makeInput(random: TestRandom, isRequest: boolean): Buffer {
  let text = '';
  for (let messages = 1 + random.below(3); messages > 0; messages--) text += isRequest ? makeRequest(random) : makeResponse(random);
  return Buffer.from(random.once(3) ? spoil(random, text) : text, 'latin1');
}

function makeRequest(random: TestRandom): string {
  const end = (): string => (random.once(12) ? random.of(ENDS) : '\r\n');
  const space = (): string => (random.once(12) ? random.of(SPACES) : ' ');
  const lead = random.once(25) ? random.of(['\r\n', '\n', ' ', '\r\n\r\n']) : '';
  const host = random.once(4) ? random.of(HOSTS) : 'Host: a.example';
  const start = `${lead}${random.of(METHODS)}${space()}${random.once(3) ? random.of(TARGETS) : '/'}${space()}${random.once(3) ? random.of(VERSIONS) : 'HTTP/1.1'}${end()}`;
  return start + (host === '' ? '' : host + end()) + fieldsAndBody(random, end);
}

function makeResponse(random: TestRandom): string {
  const end = (): string => (random.once(12) ? random.of(ENDS) : '\r\n');
  return `${random.once(3) ? random.of(VERSIONS) : 'HTTP/1.1'} ${random.of(STATUSES)}${end()}${fieldsAndBody(random, end)}`;
}

function fieldsAndBody(random: TestRandom, end: () => string): string {
  let text = '';
  for (let fields = random.below(4); fields > 0; fields--) text += random.of(FIELDS.slice(0, random.once(3) ? FIELDS.length : 13)) + end();
  const kind = random.below(4);
  let body = '';
  if (kind === 1 || (kind === 2 && random.once(6))) {
    text += `Content-Length: ${random.once(3) ? random.of(LENGTHS) : '5'}${end()}`;
    if (random.once(10)) text += `Content-Length: ${random.of(LENGTHS)}${end()}`;
    body = 'hello';
  }
  if (kind === 2) {
    text += `Transfer-Encoding: ${random.once(3) ? random.of(CODINGS) : 'chunked'}${end()}`;
    body = random.of(CHUNKS);
  }
  if (kind === 3) text += 'Content-Length: 0\r\n';
  return text + end() + body;
}

/** A few bytes changed, lost, doubled. */
function spoil(random: TestRandom, text: string): string {
  let spoiled = text;
  for (let rounds = 1 + random.below(2); rounds > 0; rounds--) {
    const at = random.below(spoiled.length + 1);
    const to = Math.min(spoiled.length, at + 1 + random.below(4));
    const kind = random.below(3);
    if (kind === 0) spoiled = spoiled.slice(0, at) + String.fromCharCode(random.below(256)) + spoiled.slice(at + 1);
    else if (kind === 1) spoiled = spoiled.slice(0, at) + spoiled.slice(to);
    else spoiled = spoiled.slice(0, to) + spoiled.slice(at);
  }
  return spoiled;
}
