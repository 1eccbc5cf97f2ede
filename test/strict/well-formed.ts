/**
 * Requests that are right, or that RFC 9112 asks a server to take, and that strict programs like to refuse: they must reach the server, and
 * what ends at this hop must not. Owns the list only.
 */
import { chunked, get, HOST, pass, post, type RequestCase, start } from './cases.ts';

const HELLO = '5\r\nhello\r\n0\r\n\r\n';
const WEBSOCKET = ['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='] as const;

const BODIES: readonly RequestCase[] = [
  ...pass('Lengths that are right pass', 'RFC 9110, 8.6', [
    ['length of 0', post(['Content-Length: 0'], '')],
    ['length of 5', post(['Content-Length: 5'], 'hello')],
    ['zeros in front', post(['Content-Length: 0005'], 'hello')],
    ['whitespace around', post(['Content-Length: \t 5 \t '], 'hello')],
    ['no space behind the colon', post(['Content-Length:5'], 'hello')],
    ['name in upper case', post(['CONTENT-LENGTH: 5'], 'hello')],
    ['on a DELETE', `DELETE / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`],
    ['binary body', post(['Content-Length: 4'], '\0\r\n\xff')],
  ]),
  ...pass(
    'Without a length there is no body; 411 is a choice, not a duty',
    'RFC 9112, 6.3; RFC 9110, 15.5.12',
    [
      ['POST', post([], '')],
      ['PUT', `PUT / HTTP/1.1\r\n${HOST}\r\n`],
    ],
    { lacks: ['transfer-encoding'] },
  ),
  ...pass('Chunked in its many spellings passes', 'RFC 9112, 7.1', [
    ['plain', chunked(HELLO)],
    ['empty body', chunked('0\r\n\r\n')],
    ['several chunks', chunked('1\r\nh\r\n4\r\nello\r\n0\r\n\r\n')],
    ['digits in lower case', chunked('a\r\nhellohello\r\n0\r\n\r\n')],
    ['digits in upper case', chunked('A\r\nhellohello\r\n0\r\n\r\n')],
    ['zeros in front of a size', chunked('0005\r\nhello\r\n0\r\n\r\n')],
    ['several zeros as the last size', chunked('5\r\nhello\r\n000\r\n\r\n')],
    ['data that looks like chunks', chunked('7\r\n0\r\n\r\n0\r\r\n0\r\n\r\n')],
    ['coding in upper case', post(['Transfer-Encoding: CHUNKED'], HELLO)],
    ['coding in mixed case', post(['transfer-encoding: Chunked'], HELLO)],
    ['whitespace around the coding', post(['Transfer-Encoding: \t chunked \t'], HELLO)],
    ['no space behind the colon', post(['Transfer-Encoding:chunked'], HELLO)],
    ['on a GET', `GET / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${HELLO}`],
  ]),
  ...pass(
    'Chunk extensions are taken off',
    'RFC 9112, 7.1.1',
    [
      ['a name', chunked('5;secret\r\nhello\r\n0\r\n\r\n')],
      ['a name and a value', chunked('5;secret=1\r\nhello\r\n0\r\n\r\n')],
      ['a quoted value', chunked('5;secret="a;b,\\"c\\""\r\nhello\r\n0\r\n\r\n')],
      ['several', chunked('5;secret=1;b;c="d"\r\nhello\r\n0;secret\r\n\r\n')],
      ['whitespace around ";" and "="', chunked('5 ; secret = 1\r\nhello\r\n0\r\n\r\n')],
      ['of 200 bytes', chunked(`5;secret=${'x'.repeat(190)}\r\nhello\r\n0\r\n\r\n`)],
    ],
    { holds: ['hello'], lacks: ['secret'] },
  ),
  ...pass(
    'Trailers pass, and keep their place',
    'RFC 9110, 6.5; RFC 9112, 7.1.2',
    [
      ['one', chunked('5\r\nhello\r\n0\r\nX-Checksum: abc\r\n\r\n')],
      ['announced', post(['Transfer-Encoding: chunked', 'Trailer: X-Checksum'], '5\r\nhello\r\n0\r\nX-Checksum: abc\r\n\r\n')],
      ['several', chunked('0\r\nX-Checksum: abc\r\nX-Other:\r\nX-More: \t d \t\r\n\r\n')],
    ],
    { holds: ['\r\n0\r\nX-Checksum: abc\r\n'] },
  ),
  ...pass(
    'Trailers change neither framing, routing nor rights',
    'RFC 9110, 6.5.1',
    [
      ['Content-Length', chunked('0\r\nContent-Length: 5\r\n\r\n')],
      ['Host', chunked('0\r\nHost: zzz.example\r\n\r\n')],
      ['Transfer-Encoding', chunked('0\r\nTransfer-Encoding: xzzz\r\n\r\n')],
      ['Authorization', chunked('0\r\nAuthorization: Basic zzz\r\n\r\n')],
      ['X-Forwarded-For', chunked('0\r\nX-Forwarded-For: 6.6.6.6, zzz\r\n\r\n')],
      ['Content_Length', chunked('0\r\nContent_Length: 5\r\n\r\n')],
    ],
    // Request IDs are hexadecimal and ports are digits: neither can be mistaken for what is looked for.
    { lacks: ['content-length', 'content_length', 'zzz'] },
  ),
];

const FIELDS: readonly RequestCase[] = [
  ...pass('Field values are free', 'RFC 9110, 5.5', [
    ['empty', get('X:')],
    ['whitespace only', get('X: \t ')],
    ['no space behind the colon', get('X:a')],
    ['whitespace around', get('X: \t a \t ')],
    ['tab inside', get('X: a\tb')],
    ['obs-text', get('X: gr\xfc\xdfe \x80\xff')],
    ['UTF-8', get('X: gr\xc3\xbc\xc3\x9fe')],
    ['every printable character', get(`X: ${Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('')}.`)],
    ['colons', get('X: a:b::c')],
    ['a value that looks like a field', get('X: Content-Length: 5')],
    ['of 8,000 bytes', get(`X: ${'a'.repeat(8_000)}`)],
  ]),
  ...pass('Field names are tokens', 'RFC 9110, 5.1 and 5.6.2', [
    ['every tchar', get("!#$%&'*+-.^_`|~0123456789abcXYZ: a")],
    ['one letter', get('a: b')],
    ['digits', get('123: b')],
    ['an underscore where it means nothing', get('my_field: a')],
    ['of 200 bytes', get(`${'x'.repeat(200)}: a`)],
    ['the same name three times', get('X: a', 'X: b', 'x: c')],
    ['90 fields', get(...Array.from({ length: 90 }, (_, i) => `X-${i}: a`))],
  ]),
  ...pass(
    'What ends at this hop is not passed on',
    'RFC 9110, 7.6.1',
    [
      ['a field that Connection names', get('Connection: X-Secret', 'X-Secret: 1')],
      ['a field that Connection names in a list', get('Connection: ,X-Other ,, x-secret', 'X-Secret: 1')],
      ['Keep-Alive', get('Keep-Alive: secret')],
      ['Proxy-Connection', get('Proxy-Connection: secret')],
      ['TE', get('Connection: TE', 'TE: trailers;secret')],
      ['Proxy, which CGI would take for HTTP_PROXY', get('Proxy: http://secret.example')],
      ['X-Forwarded-For of the client', get('X-Forwarded-For: 6.6.6.6, secret')],
      ['Forwarded of the client', get('Forwarded: for=secret')],
    ],
    { lacks: ['secret'] },
  ),
  ...pass(
    'h2c would hide requests, and is not passed on',
    'RFC 9113, 3.1; RFC 9110, 7.8',
    [
      [
        'Upgrade: h2c with HTTP2-Settings',
        get('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA'),
      ],
      ['h2c in a list', get('Connection: Upgrade', 'Upgrade: websocket, h2c', ...WEBSOCKET)],
      ['H2C in upper case', get('Connection: upgrade', 'Upgrade: H2C')],
      ['HTTP2-Settings alone', get('HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA')],
      ['Upgrade that Connection does not name', get('Upgrade: h2c')],
      ['Upgrade with a body', post(['Connection: upgrade', 'Upgrade: h2c', 'Content-Length: 5'], 'hello')],
    ],
    { lacks: ['upgrade', 'h2c', 'http2-settings'] },
  ),
  ...pass(
    'Other protocols may be asked for',
    'RFC 9110, 7.8',
    [
      ['websocket', get('Connection: Upgrade', 'Upgrade: websocket', ...WEBSOCKET)],
      ['websocket beside keep-alive', get('Connection: keep-alive, Upgrade', 'Upgrade: websocket', ...WEBSOCKET)],
    ],
    { holds: ['Connection: upgrade\r\nUpgrade: websocket\r\n'] },
  ),
  ...pass('100-continue may be expected', 'RFC 9110, 10.1.1', [
    ['with a body', post(['Expect: 100-continue', 'Content-Length: 5'], 'hello')],
    ['in mixed case', post(['Expect: 100-Continue', 'Content-Length: 5'], 'hello')],
    ['with chunks', post(['Expect: 100-continue', 'Transfer-Encoding: chunked'], HELLO)],
  ]),
  ...pass('100-continue without a body is dropped', 'RFC 9110, 10.1.1', [['on a GET', get('Expect: 100-continue')]], { lacks: ['expect'] }),
];

const HOSTS: readonly RequestCase[] = pass(
  'Host has many right forms',
  'RFC 9112, 3.2; RFC 3986, 3.2.2',
  (
    [
      ['a name', 'localhost'],
      ['with port', 'localhost:8443'],
      ['upper case', 'LOCALHOST'],
      ['final dot', 'localhost.'],
      ['whitespace around', ' \t localhost \t '],
      ['IPv4', '127.0.0.1'],
      ['IPv4 with port', '127.0.0.1:443'],
      ['IPv6', '[::1]'],
      ['IPv6 with port', '[2001:db8::1]:8443'],
      ['IPv6 with IPv4 inside', '[::ffff:192.0.2.1]'],
      ['underscore', 'my_service'],
      ['punycode', 'xn--bcher-kva.example'],
      ['name of 250 bytes', `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.eeeeee`],
    ] as const
  ).map(([name, host]) => [name, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`] as const),
);

const START_LINES: readonly RequestCase[] = [
  ...pass('Targets pass as they came', 'RFC 9112, 3.2.1; RFC 9110, 4.1', [
    ['of 8,000 bytes', start(`GET /${'a'.repeat(7_999)} HTTP/1.1`)],
    ['query', start('GET /a?b=c&d HTTP/1.1')],
    ['question marks', start('GET /a??b? HTTP/1.1')],
    ['escapes', start('GET /%41%e2%82%ac%2F HTTP/1.1')],
    ['a percent sign in the query', start('GET /a?100% HTTP/1.1')],
    ['double slash', start('GET //a//b HTTP/1.1')],
    ['dots', start('GET /a/../b/./c HTTP/1.1')],
    ['sub-delims', start("GET /a;b=c,d!$&'()*+:@-._~ HTTP/1.1")],
    ['an address inside', start('GET /http://other.example/ HTTP/1.1')],
  ]),
  ...pass(
    'Absolute form becomes origin form',
    'RFC 9112, 3.2.2 and 3.2.1',
    [
      ['equal to Host', start('GET http://localhost/a HTTP/1.1')],
      ['https', start('GET https://localhost/a HTTP/1.1')],
      ['scheme and host in upper case', start('GET HTTP://LOCALHOST/a HTTP/1.1')],
      ['the usual port', start('GET http://localhost:80/a HTTP/1.1')],
      ['Host with the usual port', 'GET https://localhost/a HTTP/1.1\r\nHost: localhost:443\r\n\r\n'],
      ['IPv6', 'GET http://[::1]/a HTTP/1.1\r\nHost: [::1]\r\n\r\n'],
    ],
    { holds: ['GET /a HTTP/1.1\r\n'], lacks: ['://'] },
  ),
  ...pass('Absolute form without a path gets one', 'RFC 9112, 3.2.1', [['with a query', start('GET http://localhost?a HTTP/1.1')]], {
    holds: ['GET /?a HTTP/1.1\r\n'],
  }),
  ...pass(
    'OPTIONS about the whole server',
    'RFC 9112, 3.2.4',
    [
      ['asterisk form', start('OPTIONS * HTTP/1.1')],
      ['absolute form without a path', start('OPTIONS http://localhost HTTP/1.1')],
    ],
    { holds: ['OPTIONS * HTTP/1.1\r\n'] },
  ),
  ...pass(
    'One empty line in front is passed over',
    'RFC 9112, 2.2',
    [
      ['of the first request', `\r\n${get('X: first')}`],
      ['of a POST', `\r\n${post(['X: first', 'Content-Length: 5'], 'hello')}`],
    ],
    { holds: ['X: first'] },
  ),
  ...pass(
    'One empty line behind a body is passed over',
    'RFC 9112, 2.2',
    [['before the next request', `${post(['Content-Length: 5'], 'hello')}\r\n${get()}`]],
    {
      requests: 2,
      statuses: [200, 200],
    },
  ),
  ...pass('Methods are an open set', 'RFC 9110, 9.1 and 16.1', [
    ['HEAD', start('HEAD / HTTP/1.1')],
    ['PATCH', `PATCH / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`],
    ['PROPFIND', start('PROPFIND / HTTP/1.1')],
    ['M-SEARCH', start('M-SEARCH / HTTP/1.1')],
    ['one that nobody registered', start('BREW / HTTP/1.1')],
    ['one letter', start('X / HTTP/1.1')],
    ['signs and digits', start("A1!#$%&'*+-.^_|~ / HTTP/1.1")],
    ['TRACE, which is for the server to refuse', start('TRACE / HTTP/1.1')],
  ]),
  ...pass(
    'A higher minor version is served as HTTP/1.1, and goes on as that',
    'RFC 9110, 2.5; RFC 9112, 2.3',
    [
      ['1.2', start('GET / HTTP/1.2')],
      ['1.9', start('GET / HTTP/1.9')],
      ['1.2 with chunks', `POST / HTTP/1.2\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${HELLO}`],
    ],
    { holds: [' / HTTP/1.1\r\n'], lacks: ['HTTP/1.2', 'HTTP/1.9'] },
  ),
  ...pass(
    'HTTP/1.0 is served, and goes on as HTTP/1.1',
    'RFC 9112, 2.3 and 9.3',
    [
      ['without Host', 'GET / HTTP/1.0\r\n\r\n'],
      ['with Host', `GET / HTTP/1.0\r\n${HOST}\r\n`],
      ['with a body', `POST / HTTP/1.0\r\n${HOST}Content-Length: 5\r\n\r\nhello`],
      ['with an Expect that is to be ignored', `POST / HTTP/1.0\r\n${HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello`],
      ['absolute form without Host', 'GET http://localhost/ HTTP/1.0\r\n\r\n'],
    ],
    { closes: true, holds: [' / HTTP/1.1\r\n', 'Host: '], lacks: ['expect', '://localhost'] },
  ),
  ...pass('HTTP/1.0 may ask to stay', 'RFC 9112, 9.3', [['keep-alive', `GET / HTTP/1.0\r\n${HOST}Connection: keep-alive\r\n\r\n`]]),
  ...pass(
    'HTTP/1.1 may ask to go',
    'RFC 9112, 9.6',
    [
      ['close', get('Connection: close')],
      ['close in mixed case, in a list', get('Connection: keep-alive, Close')],
    ],
    { closes: true },
  ),
];

export const WELL_FORMED: readonly RequestCase[] = [...BODIES, ...FIELDS, ...HOSTS, ...START_LINES];
