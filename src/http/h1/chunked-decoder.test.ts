import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FAULT_CHUNK_END, FAULT_CHUNK_EXTENSION, FAULT_CHUNK_SIZE, FAULT_RESPONSE_CHUNK, FAULT_TRAILER } from '../../base/faults.ts';
import { CHUNK_LINE_BYTES_MAX, CHUNK_OVERHEAD_BYTES_MAX, FIELDS_MAX, TRAILER_BYTES_MAX } from '../../base/limits.ts';
import { chunkHead, chunkTail, LAST_CHUNK_BYTES, lastChunk } from './chunk-writer.ts';
import { ChunkedDecoder } from './chunked-decoder.ts';

const MARGIN = 5;

interface Decoding {
  readonly data: string;
  /** Bytes consumed in all, or the fault. */
  readonly code: number;
  readonly done: boolean;
  readonly trailers: string;
}

/** Decodes `text` in parts that end at `cuts`, each read into a buffer of its own. */
function decode(text: string, cuts: readonly number[] = [], decoder = new ChunkedDecoder()): Decoding {
  let data = '';
  let consumed = 0;
  let code = 0;
  for (const end of [...cuts, text.length]) {
    if (end < consumed || decoder.done) continue;
    const part = text.slice(consumed, end);
    const buf = Buffer.alloc(MARGIN + part.length + MARGIN, 0xee);
    buf.write(part, MARGIN, 'latin1');
    code = decoder.decode(buf, MARGIN, MARGIN + part.length);
    assert.ok(
      buf.subarray(0, MARGIN).every((byte) => byte === 0xee),
      'nothing written in front',
    );
    assert.ok(
      buf.subarray(MARGIN + part.length).every((byte) => byte === 0xee),
      'nothing written behind',
    );
    data += buf.toString('latin1', MARGIN, MARGIN + decoder.dataBytes);
    if (code < 0) break;
    if (!decoder.done) assert.equal(code, part.length, 'everything is consumed before the end');
    consumed += code;
  }
  const trailers = Buffer.from(decoder.trailers.buffer, 0, decoder.trailerBytes).toString('latin1');
  return { data, code: code < 0 ? code : consumed, done: decoder.done, trailers };
}

const faultOf = (text: string): number => decode(text).code;
const everywhere = (text: string): number[] => Array.from(text, (_, i) => i);

test('ChunkedDecoder.decode() joins chunks where the first began', () => {
  const text = '4\r\nWiki\r\n6\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\n\r\n';
  assert.deepEqual(decode(text), { data: 'Wikipedia in \r\n\r\nchunks.', code: text.length, done: true, trailers: '' });
});

test('ChunkedDecoder.decode() leaves what follows the body', () => {
  const text = '1\r\na\r\n0\r\n\r\n';
  const buf = Buffer.from(`${text}GET / HTTP/1.1`);
  const decoder = new ChunkedDecoder();
  assert.equal(decoder.decode(buf, 0, buf.length), text.length);
  assert.equal(buf.toString('latin1', text.length), 'GET / HTTP/1.1');
  assert.equal(decoder.decode(buf, text.length, buf.length), 0);
});

// RFC 9112, section 7.1.
test('ChunkedDecoder.decode() accepts sizes in either case, with zeros in front', () => {
  for (const size of ['a', 'A', '0a', '000000000000000a']) assert.equal(decode(`${size}\r\n0123456789\r\n0\r\n\r\n`).data, '0123456789');
  assert.equal(decode('0000000000000000\r\n\r\n').done, true);
});

test('ChunkedDecoder.decode() refuses what is no size', () => {
  for (const text of ['\r\n', ' 1\r\n', '\t1', '+1', '-1', '0x1', 'g', '1g', '1_0', '"1"', '1.', ';a', '\0', '1\0', '\n', '1\n', '\x80']) {
    assert.equal(faultOf(text), FAULT_CHUNK_SIZE, JSON.stringify(text));
  }
});

test('ChunkedDecoder.decode() bounds sizes at 2^53 - 1 and 16 digits', () => {
  assert.equal(decode('1fffffffffffff\r\nabc').data, 'abc');
  assert.equal(faultOf('20000000000000'), FAULT_CHUNK_SIZE);
  assert.equal(faultOf('ffffffffffffffff'), FAULT_CHUNK_SIZE);
  assert.equal(faultOf('0'.repeat(17)), FAULT_CHUNK_SIZE);
});

// RFC 9112, section 7.1.1.
test('ChunkedDecoder.decode() drops well-formed extensions', () => {
  for (const extension of [';a', ';a=b', ' ; a = b', ';a="x\\"y;\t\x80"', ';a;b=c;d="e" ;f', '\t;a\t=\t"b"\t;c', ';a=""']) {
    const text = `1${extension}\r\nz\r\n0${extension}\r\n\r\n`;
    assert.deepEqual(decode(text), { data: 'z', code: text.length, done: true, trailers: '' }, extension);
  }
});

test('ChunkedDecoder.decode() refuses malformed extensions', () => {
  for (const extension of [
    ' ',
    ' x',
    ';',
    ';;a',
    ';=b',
    ';a=',
    ';a=;',
    ';a b',
    ';a=b c',
    ';a="b',
    ';a="b"c',
    ';a=b"',
    ';a="\0"',
    ';a="\\\x01"',
    ';\x80',
    ';a=\x7f',
    '; ',
    ';a ',
    ';a= ',
    ';a=b ',
    ';a="b" ',
  ]) {
    assert.equal(faultOf(`1${extension}\r\nz\r\n0\r\n\r\n`), FAULT_CHUNK_EXTENSION, JSON.stringify(extension));
  }
});

// A parser that ends the line at the LF and one that does not see different chunks.
test('ChunkedDecoder.decode() refuses bare CR and LF in a size line', () => {
  for (const text of ['1;a\nz', '1;a\rz', '1\rz', '1;a="\n"', '1;a=\n', '1 \n', '1\r\r\n'])
    assert.equal(faultOf(text), FAULT_CHUNK_EXTENSION, JSON.stringify(text));
});

test('ChunkedDecoder.decode() bounds the size line', () => {
  const line = (bytes: number): string => `1;${'a'.repeat(bytes - 4)}\r\n`;
  assert.equal(decode(`${line(CHUNK_LINE_BYTES_MAX)}z`).data, 'z');
  assert.equal(faultOf(line(CHUNK_LINE_BYTES_MAX + 1)), FAULT_CHUNK_EXTENSION);
});

test('ChunkedDecoder.decode() bounds the lines that no data pays for', () => {
  const chunk = `1;${'a'.repeat(200)}\r\nz\r\n`;
  const count = Math.ceil(CHUNK_OVERHEAD_BYTES_MAX / 180);
  assert.equal(faultOf(chunk.repeat(count)), FAULT_CHUNK_EXTENSION);
  assert.equal(faultOf('1\r\nz\r\n'.repeat(20_000)), 6 * 20_000);
  const paid = `80;${'a'.repeat(200)}\r\n${'z'.repeat(128)}\r\n`;
  assert.equal(faultOf(paid.repeat(1_000)), paid.length * 1_000);
});

test('ChunkedDecoder.decode() wants CRLF behind the data', () => {
  for (const text of ['1\r\nzz', '1\r\nz\n', '1\r\nz0\r\n', '1\r\nz\rx', '1\r\nz\r\r', '1\r\nz \r\n'])
    assert.equal(faultOf(text), FAULT_CHUNK_END, JSON.stringify(text));
});

// RFC 9110, section 6.5.
test('ChunkedDecoder keeps trailer lines that may be forwarded', () => {
  const text = '1\r\nz\r\n0\r\nX-Sum: abc\r\nHost: evil\r\nServer-Timing:a;dur=1 \r\n\r\n';
  assert.deepEqual(decode(text), { data: 'z', code: text.length, done: true, trailers: 'X-Sum: abc\r\nServer-Timing:a;dur=1 \r\n' });
});

// RFC 9110, section 6.5.1.
test('ChunkedDecoder drops trailers that belong into a head', () => {
  for (const name of [
    'Content-Length',
    'Transfer-Encoding',
    'Host',
    'Connection',
    'Trailer',
    'TE',
    'Upgrade',
    'Authorization',
    'Cookie',
    'Set-Cookie',
    'Content-Type',
    'Expect',
    'X-Forwarded-For',
    'x-forwarded-any',
    'Content_Length',
    'Cache-Control',
  ]) {
    assert.equal(decode(`0\r\n${name}: 1\r\n\r\n`).trailers, '', name);
  }
});

test('ChunkedDecoder.decode() refuses trailers that are no fields', () => {
  for (const text of [
    'a\r\n\r\n',
    ' a: b\r\n',
    'a : b\r\n',
    'a: b\r\n c\r\n',
    'a: b\n',
    '\n',
    '\rx',
    'a: b\r\n\n',
    'a: b\r\n\rx\n',
    'a: \0\r\n',
    ': b\r\n',
    'a: b\rc\r\n',
  ]) {
    assert.equal(faultOf(`0\r\n${text}`), FAULT_TRAILER, JSON.stringify(text));
  }
});

test('ChunkedDecoder.decode() bounds trailers by bytes and lines', () => {
  const line = `a: ${'x'.repeat(95)}\r\n`;
  const count = Math.floor((TRAILER_BYTES_MAX - 2) / line.length);
  const whole = decode(`0\r\n${line.repeat(count)}\r\n`);
  assert.equal(whole.done, true);
  assert.equal(whole.trailers, line.repeat(count));
  assert.equal(faultOf(`0\r\na: ${'x'.repeat(TRAILER_BYTES_MAX)}`), FAULT_TRAILER);
  assert.equal(faultOf(`0\r\n${`Host: ${'x'.repeat(80)}\r\n`.repeat(100)}`), FAULT_TRAILER);
  assert.equal(decode(`0\r\n${'a: b\r\n'.repeat(FIELDS_MAX)}\r\n`).done, true);
  assert.equal(faultOf(`0\r\n${'a: b\r\n'.repeat(FIELDS_MAX + 1)}\r\n`), FAULT_TRAILER);
});

test('ChunkedDecoder allocates for trailers only', () => {
  const decoder = new ChunkedDecoder();
  const { trailers } = decoder;
  decode('1\r\nz\r\n0\r\n\r\n', [], decoder);
  assert.equal(decoder.trailers, trailers);
  assert.equal(trailers.length, 0);
});

test('ChunkedDecoder repeats a fault until reset()', () => {
  const decoder = new ChunkedDecoder();
  assert.equal(decode('x', [], decoder).code, FAULT_CHUNK_SIZE);
  assert.equal(decode('1\r\nz\r\n', [], decoder).code, FAULT_CHUNK_SIZE);
  decoder.reset();
  assert.equal(decode('1\r\nz\r\n0\r\na: b\r\n\r\n', [], decoder).trailers, 'a: b\r\n');
  decoder.reset();
  assert.deepEqual(decode('1\r\nz\r\n0\r\n\r\n', [], decoder), { data: 'z', code: 11, done: true, trailers: '' });
});

test('ChunkedDecoder of a response blames the server', () => {
  for (const text of ['x', '1\r\nzz', '1;\r\n', '0\r\na\r\n'])
    assert.equal(decode(text, [], new ChunkedDecoder(false)).code, FAULT_RESPONSE_CHUNK);
});

const pieces = fc.constantFrom(
  '1',
  'a',
  '0',
  '\r\n',
  '\r\n',
  '\r',
  '\n',
  ';',
  'x=y',
  '="q\\""',
  ' ',
  'z',
  'X: y\r\n',
  'Host: a\r\n',
  '1\r\nz\r\n',
  '3;q\r\nabc\r\n',
  '0\r\n',
  '0\r\n\r\n',
  '\0',
);

test('ChunkedDecoder.decode() gives the same result however the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 16 }), fc.array(fc.nat(80), { maxLength: 6 }), (parts, cuts) => {
      const text = parts.join('');
      const whole = decode(text);
      const sorted = cuts.filter((cut) => cut < text.length).sort((a, b) => a - b);
      assert.deepEqual(decode(text, sorted), whole);
      assert.deepEqual(decode(text, everywhere(text)), whole);
    }),
    { numRuns: 1_000 },
  );
});

test('ChunkedDecoder.decode() reads back what the chunk writer writes', () => {
  const trailers = Buffer.from('X-Sum: 1\r\n');
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 600 }), { maxLength: 5 }),
      fc.boolean(),
      fc.array(fc.nat(2_000), { maxLength: 6 }),
      (chunks, withTrailers, cuts) => {
        const parts = chunks.map((data) => {
          const buf = Buffer.alloc(data.length + 32);
          buf.set(data, 16);
          return buf.toString('latin1', chunkHead(buf, 16, data.length), chunkTail(buf, 16 + data.length));
        });
        const tail = Buffer.alloc(64);
        const end = lastChunk(tail, 0, trailers, withTrailers ? trailers.length : 0);
        assert.equal(end, LAST_CHUNK_BYTES + (withTrailers ? trailers.length : 0));
        const text = parts.join('') + tail.toString('latin1', 0, end);
        const sorted = cuts.filter((cut) => cut < text.length).sort((a, b) => a - b);
        assert.deepEqual(decode(text, sorted), {
          data: chunks.map((data) => Buffer.from(data).toString('latin1')).join(''),
          code: text.length,
          done: true,
          trailers: withTrailers ? 'X-Sum: 1\r\n' : '',
        });
      },
    ),
    { numRuns: 200 },
  );
});
