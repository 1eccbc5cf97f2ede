/**
 * Mutated heads and chunked bodies against the codec. What must hold for any bytes:
 *
 * - nothing throws, no result is anything but progress, NEED_MORE or a fault;
 * - no byte outside the given range is written, and none decides anything (each input is read twice, between different neighbours);
 * - every offset lies within the head, in order;
 * - a head that is accepted and written again is accepted again, and means the same: what we say is what we understood;
 * - decoded data is never longer than what was consumed, and nothing the decoder keeps outgrows its bound.
 *
 * By hand: `node src/http/h1/codec.fuzz.ts SEED ITERATIONS`. A failure names the seed that repeats it.
 */
import assert from 'node:assert/strict';
import { faultOf, NEED_MORE } from '../../base/faults.ts';
import { TRAILER_BYTES_MAX } from '../../base/limits.ts';
import { TestRandom } from '../../base/test-random.ts';
import {
  FIELD_NAME_START,
  FIELD_STRIDE,
  FIELD_VALUE_END,
  FIELD_VALUE_START,
  FRAMING_CHUNKED,
  FRAMING_CLOSE,
  FRAMING_NONE,
  FRAMING_TUNNEL,
  METHOD_GET,
  METHOD_HEAD,
  MessageHead,
} from '../message-head.ts';
import { LIMITS, type Reading, summaryOf } from '../test-heads.ts';
import { ChunkedDecoder } from './chunked-decoder.ts';
import { readRequestHead, readResponseHead } from './head-reader.ts';
import { Forwarding, Reply, writeRequestHead, writeResponseHead } from './head-writer.ts';

const REQUESTS: readonly string[] = [
  'GET / HTTP/1.1\r\nHost: a.example\r\n\r\n',
  'POST /a%20b/c?d=e HTTP/1.1\r\nHost: a.example:8443\r\nContent-Length: 12\r\nContent-Type: text/plain\r\nExpect: 100-continue\r\n\r\n',
  'PUT http://a.example/x?y HTTP/1.1\r\nHost: A.example:80\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: close, x-hop\r\nX-Hop: 1\r\n\r\n',
  'GET /ws HTTP/1.1\r\nHost: [2001:db8::1]:443\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: 10.0.0.1\r\nX-Forwarded-For: 1.1.1.1\r\nForwarded: for=x\r\nCookie: a=b; c=d\r\nUser-Agent: x\r\n\r\n',
  'HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
];
const RESPONSES: readonly string[] = [
  'HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n',
  'HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  'HTTP/1.1 304\r\nETag: "x"\r\nContent-Length: 99\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n',
];
const BODIES: readonly string[] = [
  '4\r\nWiki\r\n6;a=b;c="d\\"e"\r\npedia \r\n0\r\n\r\n',
  '00f ; q\r\n0123456789abcde\r\n0\r\nX-Sum: 1\r\nHost: a\r\nY: z\r\n\r\n',
  '1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\nGET / HTTP/1.1\r\n',
];
const SPICE: readonly string[] = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  '\0',
  '\t',
  ' ',
  ':',
  ';',
  ',',
  '=',
  '"',
  '\\',
  '%',
  '%00',
  '#',
  '?',
  '/',
  '*',
  '\x7f',
  '\x80',
  '\xff',
  '_',
  '-',
  '0',
  '1',
  'f',
  'Content-Length: 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Host: b\r\n',
  'Connection: x\r\n',
  'Content_Length: 1\r\n',
  'chunked',
  'HTTP/1.0',
  'HTTP/1.1',
  'ffffffffffffffff',
  '1fffffffffffff',
  '9007199254740992',
  'Upgrade: h2c\r\n',
  'Expect: x\r\n',
  '0\r\n',
  'http://',
  '[::1]',
];

const ROOM = 8_192;
const IN_AT = 64;
const OUT_AT = IN_AT + ROOM;
const OUT_END = OUT_AT + 2 * ROOM;
const GUARD = 0xee;

function mutate(random: TestRandom, text: string, others: readonly string[]): string {
  let mutated = text;
  for (let rounds = random.below(5); rounds > 0; rounds--) {
    const at = random.below(mutated.length + 1);
    const to = Math.min(mutated.length, at + random.below(20));
    switch (random.below(7)) {
      case 0:
        mutated = mutated.slice(0, at) + String.fromCharCode(random.below(256)) + mutated.slice(at + 1);
        break;
      case 1:
        mutated = mutated.slice(0, at) + mutated.slice(to);
        break;
      case 2:
        mutated = mutated.slice(0, at) + mutated.slice(at, to).repeat(1 + random.below(6)) + mutated.slice(to);
        break;
      case 3:
        mutated = mutated.slice(0, at) + random.of(others).slice(random.below(40));
        break;
      case 4:
        mutated = mutated.slice(0, at);
        break;
      default:
        mutated = mutated.slice(0, at) + random.of(SPICE) + mutated.slice(at);
    }
  }
  return mutated.slice(0, ROOM);
}

class Bench {
  readonly buf = Buffer.alloc(OUT_END + 64, GUARD);
  readonly first = new MessageHead();
  readonly second = new MessageHead();
  readonly again = new MessageHead();
  readonly forwarding = new Forwarding();
  readonly reply = new Reply();
  readonly decoder = new ChunkedDecoder();

  constructor() {
    this.forwarding.peerAddress = '2001:db8::7';
    this.forwarding.clientAddress = '2001:db8::7';
    this.forwarding.port = '443';
    this.forwarding.fallbackHost = 'fallback.example';
  }

  /** Puts `text` between neighbours made of `byte`. Returns its end. */
  place(text: string, byte: number): number {
    const end = IN_AT + text.length;
    this.buf.fill(byte, 0, end + 64);
    this.buf.write(text, IN_AT, 'latin1');
    return end;
  }

  /** Reads the head in `text` between two kinds of neighbours; both readings must be one. */
  read(text: string, read: (end: number, head: MessageHead) => number): Reading {
    let end = this.place(text, 0x0a);
    const code = read(end, this.first);
    end = this.place(text, GUARD);
    const secondCode = read(end, this.second);
    const reading = { code, head: this.first, buf: this.buf };
    assert.deepEqual(summaryOf(reading), summaryOf({ code: secondCode, head: this.second, buf: this.buf }), 'neighbours decide nothing');
    this.checkUntouched(text);
    checkCode(code, text.length);
    if (code > 0) checkOffsets(this.first, IN_AT, IN_AT + code);
    return reading;
  }

  checkUntouched(text: string): void {
    const end = IN_AT + text.length;
    assert.equal(this.buf.toString('latin1', IN_AT, end), text, 'a reader writes nothing');
    assert.ok(this.buf[IN_AT - 1] === GUARD && this.buf[end] === GUARD, 'nor around it');
  }
}

function checkCode(code: number, bytes: number): void {
  assert.ok(Number.isInteger(code) && code <= bytes);
  if (code < 0) assert.equal(faultOf(code).code, code);
}

function checkOffsets(head: MessageHead, start: number, end: number): void {
  let last = head.lineStart;
  assert.ok(last >= start && head.headEnd === end);
  for (let i = 0; i < head.fieldCount; i++) {
    for (let place = FIELD_NAME_START; place <= FIELD_VALUE_END; place++) {
      const offset = head.fields[i * FIELD_STRIDE + place]!;
      assert.ok(offset >= last && offset < end, 'offsets in order');
      last = offset;
    }
    assert.ok(head.dropped[i] === 0 || head.dropped[i] === 1);
    const after = head.fields[i * FIELD_STRIDE + FIELD_VALUE_START]!;
    assert.ok(after > head.fields[i * FIELD_STRIDE + FIELD_NAME_START]!, 'no empty name');
  }
  for (const offset of [
    head.pathStart,
    head.pathEnd,
    head.queryStart,
    head.hostStart,
    head.hostEnd,
    head.upgradeStart,
    head.upgradeEnd,
    head.reasonStart,
  ]) {
    assert.ok(offset === 0 || (offset >= start && offset < end), 'offsets within the head');
  }
  assert.ok(Number.isSafeInteger(head.contentLength) && head.contentLength >= 0);
}

function fuzzRequest(bench: Bench, text: string): void {
  const { buf, again } = bench;
  const { code, head } = bench.read(text, (end, into) => readRequestHead(buf, IN_AT, end, LIMITS, into));
  if (code <= 0) return;
  const end = writeRequestHead(buf, OUT_AT, OUT_END, head, bench.forwarding);
  bench.checkUntouched(text);
  assert.ok(end > OUT_AT && end <= OUT_END && buf[OUT_END] === GUARD);
  assert.equal(readRequestHead(buf, OUT_AT, end, LIMITS, again), end - OUT_AT, 'what is forwarded is whole and accepted');
  assert.equal(again.framing, head.framing);
  assert.equal(again.contentLength, head.contentLength);
  assert.equal(again.method, head.method);
  assert.equal(again.upgradeEnd - again.upgradeStart, head.upgradeEnd - head.upgradeStart);
  assert.equal(buf.indexOf('HTTP/1.1\r\n', OUT_AT, 'latin1') > 0, true);
}

function fuzzResponse(bench: Bench, text: string, requestMethod: number): void {
  const { buf, again, reply } = bench;
  const { code, head } = bench.read(text, (end, into) => readResponseHead(buf, IN_AT, end, LIMITS, requestMethod, into));
  if (code <= 0) return;
  reply.framing = head.framing;
  reply.contentLength = head.contentLength;
  reply.isSwitch = head.framing === FRAMING_TUNNEL;
  const end = writeResponseHead(buf, OUT_AT, OUT_END, head, reply);
  bench.checkUntouched(text);
  assert.ok(end > OUT_AT && end <= OUT_END);
  assert.equal(readResponseHead(buf, OUT_AT, end, LIMITS, requestMethod, again), end - OUT_AT, 'what is answered is whole and accepted');
  assert.equal(again.framing, head.framing);
  assert.equal(again.contentLength, head.contentLength);
  assert.equal(again.status, head.status);
  if (head.status >= 200) assert.equal(again.keepAlive, head.framing !== FRAMING_CLOSE);
  if (head.framing === FRAMING_CHUNKED || head.framing === FRAMING_NONE) assert.equal(head.contentLength, 0);
}

function fuzzBody(bench: Bench, random: TestRandom, text: string): void {
  const whole = decodeAll(bench, text, text.length);
  assert.equal(decodeAll(bench, text, 1 + random.below(text.length + 1)), whole, 'the cut decides nothing');
}

/** Decodes `text` in parts of `partBytes`; gives everything that came of it as one text. */
function decodeAll(bench: Bench, text: string, partBytes: number): string {
  const { decoder, buf } = bench;
  decoder.reset();
  let data = '';
  let consumed = 0;
  let code = NEED_MORE;
  while (consumed < text.length && !decoder.done && code >= 0) {
    const part = text.slice(consumed, consumed + partBytes);
    const end = bench.place(part, GUARD);
    code = decoder.decode(buf, IN_AT, end);
    assert.ok(buf[IN_AT - 1] === GUARD && buf[end] === GUARD, 'nothing written around the body');
    checkCode(code, part.length);
    assert.ok(decoder.dataBytes <= part.length);
    if (code >= 0) assert.ok(decoder.dataBytes <= code && (decoder.done || code === part.length));
    data += buf.toString('latin1', IN_AT, IN_AT + decoder.dataBytes);
    consumed += Math.max(code, 0);
  }
  assert.ok(decoder.trailers.length <= TRAILER_BYTES_MAX && decoder.trailerBytes <= decoder.trailers.length);
  const trailers = Buffer.from(decoder.trailers.buffer, 0, decoder.trailerBytes).toString('latin1');
  return `${code < 0 ? code : consumed} ${decoder.done} ${JSON.stringify([data, trailers])}`;
}

/** Runs `iterations` mutations from `seed` (an integer). Throws at the first that breaks a promise, naming how to repeat it. */
export function fuzz(seed: number, iterations: number): void {
  const random = new TestRandom(seed);
  const bench = new Bench();
  for (let i = 0; i < iterations; i++) {
    const kind = random.below(3);
    const corpus = kind === 0 ? REQUESTS : kind === 1 ? RESPONSES : BODIES;
    const text = mutate(random, random.of(corpus), corpus);
    try {
      if (kind === 0) fuzzRequest(bench, text);
      else if (kind === 1) fuzzResponse(bench, text, random.below(4) === 0 ? METHOD_HEAD : METHOD_GET);
      else fuzzBody(bench, random, text);
    } catch (cause) {
      const again = `node src/http/h1/codec.fuzz.ts ${seed} ${i + 1}`;
      throw new Error(`codec fuzz failed on ${JSON.stringify(text)}; repeat with: ${again}`, { cause });
    }
  }
}

if (import.meta.main) {
  const seed = Number(process.argv[2] ?? Date.now() % 2 ** 31);
  const iterations = Number(process.argv[3] ?? 1_000_000);
  process.stdout.write(`codec fuzz: seed ${seed}, ${iterations} iterations\n`);
  fuzz(seed, iterations);
  process.stdout.write('codec fuzz: nothing found\n');
}
