import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHUNK_HEAD_BYTES_MAX, chunkHead, chunkTail, decodedHead, decodedTail, lastChunk } from './chunk-writer.ts';
import { ChunkedDecoder } from './chunked-decoder.ts';

// RFC 9112, section 7.1.
test('chunkHead() ends where the data begins', () => {
  for (const [bytes, text] of [
    [1, '1'],
    [15, 'f'],
    [16, '10'],
    [65_536, '10000'],
    [2 ** 53 - 1, '1fffffffffffff'],
  ] as const) {
    const buf = Buffer.alloc(40, '.');
    const start = chunkHead(buf, 20, bytes);
    assert.ok(20 - start <= CHUNK_HEAD_BYTES_MAX);
    assert.equal(buf.toString('latin1', start - 1, 21), `.${text}\r\n.`);
  }
});

test('chunkHead() refuses a chunk of none, which would end the body', () => {
  assert.throws(() => chunkHead(Buffer.alloc(40), 20, 0));
});

test('chunkTail() and lastChunk() write the ends', () => {
  const buf = Buffer.alloc(40, '.');
  assert.equal(chunkTail(buf, 1), 3);
  assert.equal(lastChunk(buf, 3, new Uint8Array(0), 0), 8);
  assert.equal(buf.toString('latin1', 0, 9), '.\r\n0\r\n\r\n.');
});

test('lastChunk() writes as much of the trailers as it is told', () => {
  const buf = Buffer.alloc(40, '.');
  const end = lastChunk(buf, 0, Buffer.from('A: b\r\nrubbish'), 6);
  assert.equal(buf.toString('latin1', 0, end + 1), '0\r\nA: b\r\n\r\n.');
});

test('decodedHead() and decodedTail() make one chunk of what a read brought, and the last one once the body is done', () => {
  const decoder = new ChunkedDecoder();
  const reframe = (text: string): string => {
    const buf = Buffer.alloc(80, '.');
    buf.write(text, 20);
    decoder.decode(buf, 20, 20 + text.length);
    const end = decodedTail(buf, 20, decoder);
    return buf.toString('latin1', decodedHead(buf, 20, decoder), end);
  };
  decoder.reset();
  assert.equal(reframe('2\r\nab\r\n1;x\r\nc\r\n4'), '3\r\nabc\r\n');
  // A size line alone holds nothing: no chunk, which would end the body.
  assert.equal(reframe('\r\n'), '');
  assert.equal(reframe('defg\r\n0\r\nA: b\r\n\r\n'), '4\r\ndefg\r\n0\r\nA: b\r\n\r\n');
});
