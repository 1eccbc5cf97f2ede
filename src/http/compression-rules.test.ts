import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CODING_BROTLI,
  CODING_GZIP,
  CODING_IDENTITY,
  CODING_NAMES,
  CODING_ZSTD,
  CODINGS_DEFAULT,
  COMPRESS,
  COMPRESS_DIGEST,
  COMPRESS_ENCODED,
  COMPRESS_FORBIDDEN,
  COMPRESS_NO_CONTENT,
  COMPRESS_NOT_ASKED,
  COMPRESS_SECRET,
  COMPRESS_SHORT,
  COMPRESS_TYPE,
  type CompressionPolicy,
  carriesSecret,
  chooseCoding,
  compileTypes,
  compressionVerdict,
  isCompressibleType,
  isTypePattern,
  strongEtag,
  TYPES_DEFAULT,
  variesByEncoding,
} from './compression-rules.ts';
import { METHOD_GET, METHOD_HEAD } from './message-head.ts';
import { requestWith, responseWith } from './test-heads.ts';

const TYPES = compileTypes();
const POLICY: CompressionPolicy = { codings: CODINGS_DEFAULT, leastBytes: 1_024, types: TYPES, withSecrets: false };
const TEXT = 'Content-Type: text/html; charset=utf-8';

function chosen(lines: readonly string[], codings: readonly number[] = CODINGS_DEFAULT, version = '1.1'): string {
  const { buf, head, code } = requestWith(lines, version);
  assert.ok(code > 0, String(code));
  return CODING_NAMES[chooseCoding(buf, head, codings)]!;
}

function verdict(
  lines: readonly string[],
  options: { status?: number; method?: number; coding?: number; secret?: boolean; withSecrets?: boolean } = {},
) {
  const method = options.method ?? METHOD_GET;
  const framing = lines.some((line) => /^(?:content-length|transfer-encoding):/i.test(line)) ? [] : ['Transfer-Encoding: chunked'];
  const { buf, head, code } = responseWith(options.status ?? 200, [...lines, ...framing], method);
  assert.ok(code > 0, String(code));
  const policy = { ...POLICY, withSecrets: options.withSecrets ?? false };
  return compressionVerdict(buf, head, method, options.coding ?? CODING_GZIP, options.secret ?? false, policy);
}

// RFC 9110, section 12.5.3.
test('chooseCoding() follows weights, then our order', () => {
  const cases: Record<string, string> = {
    'gzip, deflate, br, zstd': 'zstd',
    'gzip, deflate, br': 'br',
    gzip: 'gzip',
    'x-gzip': 'gzip',
    'GZIP;Q=1.0': 'gzip',
    'compress, gzip': 'gzip',
    'gzip;q=1.0, br;q=0.5': 'gzip',
    'br;q=0.001, gzip;q=0.002': 'gzip',
    'gzip ; q=0.5 ,\tbr ; q=0.6': 'br',
    '*': 'zstd',
    'zstd;q=0, *': 'br',
    '*;q=0': 'identity',
    '*;q=0, gzip': 'gzip',
    'gzip;q=0.5, *;q=0.8': 'zstd',
    'identity;q=0': 'identity',
    'identity;q=0, gzip;q=0.1': 'gzip',
    'identity, gzip': 'gzip',
    'identity;q=0.5, gzip;q=0.1': 'identity',
    'identity;q=0, *;q=0': 'identity',
    'gzip;q=0': 'identity',
    deflate: 'identity',
    '': 'identity',
  };
  for (const [value, expected] of Object.entries(cases)) assert.equal(chosen([`Accept-Encoding: ${value}`]), expected, value);
  assert.equal(chosen([]), 'identity');
  assert.equal(chosen(['accept-ENCODING: gzip;q=0.1', 'Accept-Encoding: br;q=0.2']), 'br');
});

test('chooseCoding() does not take what cannot be read', () => {
  for (const value of [
    'gzip;q=2',
    'gzip;q=',
    'gzip;q',
    'gzip;q=1.001',
    'gzip;q=0.1234',
    'gzip;x=1',
    'gzip br',
    'gzip;q=-1',
    'gz\tip',
    ';q=1',
    'gzip;q=0.5x',
  ])
    assert.equal(chosen([`Accept-Encoding: ${value}`]), 'identity', value);
  assert.equal(chosen(['Accept-Encoding: br;q=7, , gzip']), 'gzip');
});

test('chooseCoding() keeps to the codings of the route, and to identity for HTTP/1.0', () => {
  assert.equal(chosen(['Accept-Encoding: zstd, br, gzip'], [CODING_GZIP]), 'gzip');
  assert.equal(chosen(['Accept-Encoding: zstd, br, gzip'], [CODING_GZIP, CODING_ZSTD]), 'gzip');
  assert.equal(chosen(['Accept-Encoding: zstd, br'], [CODING_GZIP]), 'identity');
  assert.equal(chosen(['Accept-Encoding: *'], []), 'identity');
  assert.equal(chosen(['Accept-Encoding: gzip'], CODINGS_DEFAULT, '1.0'), 'identity');
});

test('carriesSecret() finds Cookie and Authorization', () => {
  assert.equal(carriesSecret(requestWith(['Cookie: a=b']).head), true);
  assert.equal(carriesSecret(requestWith(['AUTHORIZATION: Basic QTpC']).head), true);
  assert.equal(carriesSecret(requestWith(['Accept: */*', 'X-Cookie: 1']).head), false);
});

test('compressionVerdict() compresses text of any length that is not known, and from the least length on', () => {
  assert.equal(verdict([TEXT]), COMPRESS);
  assert.equal(verdict([TEXT, 'Content-Length: 1024']), COMPRESS);
  assert.equal(verdict([TEXT, 'Content-Length: 1023']), COMPRESS_SHORT);
  for (const coding of [CODING_BROTLI, CODING_ZSTD]) assert.equal(verdict([TEXT], { coding }), COMPRESS);
  for (const status of [201, 203, 400, 404, 500]) assert.equal(verdict([TEXT], { status }), COMPRESS);
});

test('compressionVerdict() leaves alone what has no content, part of it, or another form already', () => {
  assert.equal(verdict([TEXT], { method: METHOD_HEAD }), COMPRESS_NO_CONTENT);
  for (const status of [204, 205, 206, 304]) assert.equal(verdict([TEXT, 'Content-Length: 0'], { status }), COMPRESS_NO_CONTENT);
  assert.equal(verdict([TEXT, 'Content-Length: 0']), COMPRESS_NO_CONTENT);
  assert.equal(verdict([TEXT, 'Content-Range: bytes 0-1/9'], { status: 200 }), COMPRESS_NO_CONTENT);
  assert.equal(verdict([TEXT, 'Content-Encoding: gzip']), COMPRESS_ENCODED);
  assert.equal(verdict([TEXT, 'Cache-Control: public, No-Transform']), COMPRESS_FORBIDDEN);
  assert.equal(verdict([TEXT, 'Cache-Control: public', 'Cache-Control: no-transform']), COMPRESS_FORBIDDEN);
  assert.equal(verdict([TEXT, 'Cache-Control: x-no-transform, max-age=1']), COMPRESS);
  for (const field of ['Content-MD5: x', 'Content-Digest: sha-256=:x:', 'Repr-Digest: x', 'Digest: x'])
    assert.equal(verdict([TEXT, field]), COMPRESS_DIGEST, field);
});

// The reason is at CompressionPolicy.withSecrets.
test('compressionVerdict() compresses no secrets unless the route says so', () => {
  assert.equal(verdict([TEXT], { secret: true }), COMPRESS_SECRET);
  assert.equal(verdict([TEXT, 'Set-Cookie: a=b']), COMPRESS_SECRET);
  assert.equal(verdict([TEXT], { secret: true, withSecrets: true }), COMPRESS);
  assert.equal(verdict([TEXT, 'Set-Cookie: a=b'], { withSecrets: true }), COMPRESS);
});

test('compressionVerdict() tells a client that takes no coding from a response that must not have one', () => {
  assert.equal(verdict([TEXT], { coding: CODING_IDENTITY }), COMPRESS_NOT_ASKED);
  assert.equal(verdict(['Content-Type: image/png'], { coding: CODING_IDENTITY }), COMPRESS_TYPE);
});

test('compressionVerdict() knows types by list, tree, suffix and exception', () => {
  const compressed = [
    'text/css',
    'TEXT/Plain;charset=x',
    'application/json',
    'application/problem+json',
    'image/svg+xml',
    'application/wasm',
    'font/ttf',
  ];
  const left = [
    'image/png',
    'video/mp4',
    'font/woff2',
    'application/zip',
    'application/gzip',
    'text/event-stream',
    'Text/Event-Stream; x=y',
    'text/',
    '+json',
    'application/octet-stream',
    'application/jsonx',
    '',
  ];
  for (const type of compressed) assert.equal(verdict([`Content-Type: ${type}`]), COMPRESS, type);
  for (const type of left) assert.equal(verdict([`Content-Type: ${type}`]), COMPRESS_TYPE, type);
  assert.equal(verdict([]), COMPRESS_TYPE);
});

test('compileTypes() takes what isTypePattern() allows', () => {
  for (const pattern of TYPES_DEFAULT) assert.ok(isTypePattern(pattern), pattern);
  for (const pattern of ['', 'text', '*/*', '!text/*', '*', 'Text/html', 'a/b;c', 'a/b c', '!*/*+json', 'a/*b'])
    assert.ok(!isTypePattern(pattern), pattern);
  const types = compileTypes(['text/event-stream', 'model/*']);
  const has = (type: string): boolean => isCompressibleType(Buffer.from(type), 0, type.length, types);
  assert.deepEqual(['text/event-stream', 'model/gltf', 'text/html', 'modelx/a'].map(has), [true, true, false, false]);
});

// RFC 9110, section 8.8.3.
test('strongEtag() finds the ETag that has to be weakened', () => {
  const reading = responseWith(200, ['X-Etag: "a"', 'eTag: "abc"', 'Content-Length: 1']);
  const at = strongEtag(reading.buf, reading.head);
  assert.equal(reading.buf.toString('latin1', at, at + 5), '"abc"');
  for (const lines of [['ETag: W/"abc"'], ['ETag: abc'], []]) {
    const { buf, head } = responseWith(200, [...lines, 'Content-Length: 1']);
    assert.equal(strongEtag(buf, head), -1);
  }
});

test('variesByEncoding() reads Vary', () => {
  const varies = (...lines: string[]): boolean => {
    const { buf, head } = responseWith(200, [...lines, 'Content-Length: 1']);
    return variesByEncoding(buf, head);
  };
  assert.equal(varies('Vary: Origin, accept-encoding'), true);
  assert.equal(varies('Vary: Origin', 'Vary: Accept-Encoding'), true);
  assert.equal(varies('Vary: *'), true);
  assert.equal(varies('Vary: Origin'), false);
  assert.equal(varies('Vary: Accept-Encoding-X'), false);
  assert.equal(varies(), false);
});
