/** Large bodies both ways, compared by hash, in bounded memory. 1 GB each; ten in the long run. */
import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
import { request } from 'node:https';
import { test } from 'node:test';
import { ca } from './support/certificates.ts';
import { httpOrigin } from './support/origin.ts';
import { LONG, residentBytes, Tollgate } from './support/tollgate.ts';

const PIECE = 1 << 20;
const PIECES = LONG ? 10_000 : 1_000;
/** What a worker may grow by while a body of any size passes. Bytes. */
const GROWTH_MAX = 60 << 20;

/** Bytes that look random, the same for the same seed, faster than they can be sent. */
function* pieces(seed: number): Generator<Buffer> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16));
  const zeros = Buffer.alloc(PIECE);
  for (let i = 0; i < PIECES; i++) yield cipher.update(zeros);
}

async function sendAll(stream: NodeJS.WritableStream, hash: ReturnType<typeof createHash>, seed: number): Promise<void> {
  for (const piece of pieces(seed)) {
    hash.update(piece);
    if (!stream.write(piece)) await new Promise((resolve) => stream.once('drain', resolve));
  }
  stream.end();
}

test('a download of 1 GB is the same bytes, in bounded memory', async (t) => {
  const sent = createHash('sha256');
  const origin = await httpOrigin(t, (_request, response) => {
    response.writeHead(200, { 'content-length': PIECE * PIECES });
    void sendAll(response, sent, 1);
  });
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const worker = (await tollgate.status()).workers[0]!.pid!;
  const before = residentBytes(worker);
  let most = 0;
  let length = 0;
  const got = createHash('sha256');
  await new Promise<void>((resolve, reject) => {
    request({ port: tollgate.port, host: 'localhost', ca }, (response) => {
      response.on('data', (data: Buffer) => {
        got.update(data);
        length += data.length;
        if (length % (64 << 20) < data.length) most = Math.max(most, residentBytes(worker));
      });
      response.on('end', resolve);
      response.on('error', reject);
    })
      .on('error', reject)
      .end();
  });
  assert.equal(length, PIECE * PIECES);
  assert.equal(got.digest('hex'), sent.digest('hex'));
  assert.ok(most - before < GROWTH_MAX, `grew by ${most - before}`);
});

test('an upload of 1 GB in chunks is the same bytes, in bounded memory', async (t) => {
  const got = createHash('sha256');
  let length = 0;
  const origin = await httpOrigin(t, (incoming, response) => {
    incoming.on('data', (data: Buffer) => {
      got.update(data);
      length += data.length;
    });
    incoming.on('end', () => response.end(got.digest('hex')));
  });
  const tollgate = await Tollgate.start(t, { to: origin.port });
  const worker = (await tollgate.status()).workers[0]!.pid!;
  const before = residentBytes(worker);
  const sent = createHash('sha256');
  let answer = '';
  await new Promise<void>((resolve, reject) => {
    const upload = request({ port: tollgate.port, host: 'localhost', method: 'POST', ca }, (response) => {
      response.on('data', (data) => {
        answer += String(data);
      });
      response.on('end', resolve);
    });
    upload.on('error', reject);
    void sendAll(upload, sent, 2);
  });
  assert.equal(length, PIECE * PIECES);
  assert.equal(answer, sent.digest('hex'));
  assert.ok(residentBytes(worker) - before < GROWTH_MAX);
});
