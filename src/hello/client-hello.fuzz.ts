/**
 * Fuzzes the ClientHello reader: well-formed hellos, damaged. Run short by client-hello.fuzz.test.ts; long by hand:
 *
 *   node src/hello/client-hello.fuzz.ts [seed] [iterations]
 */
import assert from 'node:assert/strict';
import {
  FAULT_HELLO_MALFORMED,
  FAULT_HELLO_NOT_TLS,
  FAULT_HELLO_PLAIN_HTTP,
  FAULT_HELLO_SSLV2,
  FAULT_HELLO_TOO_LARGE,
  NEED_MORE,
} from '../base/faults.ts';
import { TestRandom } from '../base/test-random.ts';
import { ClientHello, HELLO_RECORDS_MAX, HELLO_WIRE_BYTES_MAX, readClientHello } from './client-hello.ts';
import { browserHello, extensions, helloBytes, record, type TestExtension } from './test-hello.ts';

const FAULTS: readonly number[] = [
  FAULT_HELLO_MALFORMED,
  FAULT_HELLO_NOT_TLS,
  FAULT_HELLO_PLAIN_HTTP,
  FAULT_HELLO_SSLV2,
  FAULT_HELLO_TOO_LARGE,
];
/** Values that sit at the edges of lengths and types. */
const EDGES: readonly number[] = [0, 1, 2, 3, 5, 22, 31, 32, 33, 0x3f, 0x40, 0x41, 0x7f, 0x80, 0xfe, 0xff];
const GUARD_BYTES = 64;
const INPUT_BYTES_MAX = 40_000;

function numbers(random: (bound: number) => number, max: number): number[] {
  return Array.from({ length: 1 + random(max) }, () => random(0x10000));
}

/** A hello in records, right in every length. */
function wellFormed(random: (bound: number) => number): Buffer {
  const list: TestExtension[] = [
    extensions.serverName(['a.example', 'WWW.Example.COM.', 'x'.repeat(1 + random(255))][random(3)]!),
    extensions.groups(...numbers(random, 80)),
    extensions.schemes(...numbers(random, 80)),
    extensions.certSchemes(...numbers(random, 10)),
    extensions.alpn(...Array.from({ length: 1 + random(40) }, () => 'p'.repeat(1 + random(12)))),
    extensions.versions(...numbers(random, 8)),
    extensions.keyShare(...Array.from({ length: random(5) }, () => [random(0x10000), 1 + random(1_300)] as const)),
    extensions.sessionTicket(random(300)),
    extensions.padding(random(20) === 0 ? random(15_000) : random(50)),
    { type: 100 + random(0xff00), body: Buffer.alloc(random(20)) },
  ].filter(() => random(3) > 0);
  if (random(4) === 0) list.push(extensions.earlyData());
  if (random(4) === 0) list.push(extensions.preSharedKey(1 + random(200), 32));
  const hello =
    random(4) === 0
      ? browserHello()
      : { legacyVersion: 0x0300 + random(5), sessionId: Buffer.alloc(random(33)), suites: numbers(random, 600), extensions: list };
  const sizes =
    random(2) === 0 ? [] : Array.from({ length: random(random(8) === 0 ? 80 : 6) }, () => 1 + random(random(2) === 0 ? 8 : 900));
  return helloBytes(hello, sizes);
}

/** One to six wounds: bits, bytes, lengths, lost and doubled pieces, pieces of another hello, other records. */
function damaged(input: Buffer, random: (bound: number) => number): Buffer {
  let bytes = input;
  for (let wounds = 1 + random(6); wounds > 0 && bytes.length >= 2; wounds--) {
    const at = random(random(2) === 0 ? bytes.length : Math.min(bytes.length, 120));
    switch (random(8)) {
      case 0:
        bytes[at]! ^= 1 << random(8);
        break;
      case 1:
        bytes[at] = EDGES[random(EDGES.length)]!;
        break;
      case 2: {
        const field = Math.min(at, bytes.length - 2);
        bytes.writeUInt16BE((random(2) === 0 ? random(0x10000) : bytes.readUInt16BE(field) + random(9) - 4) & 0xffff, field);
        break;
      }
      case 3:
        bytes = bytes.subarray(0, at);
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + random(40)))]);
        break;
      case 5:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - 1 - random(200)))]);
        break;
      case 6: {
        const other = wellFormed(random);
        bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(random(other.length))]);
        break;
      }
      default:
        bytes = Buffer.concat([bytes.subarray(0, at), record(Buffer.alloc(random(30), random(256)), 20 + random(5)), bytes.subarray(at)]);
        break;
    }
  }
  return Buffer.from(bytes.subarray(0, INPUT_BYTES_MAX));
}

/** Everything a reader may look at after a call stays inside its tables. */
function assertInside(hello: ClientHello): void {
  assert.ok(hello.suiteCount <= hello.suites.length && hello.compressionCount <= hello.compressions.length);
  assert.ok(hello.extensionCount <= hello.extensions.length && hello.versionCount <= hello.versions.length);
  assert.ok(hello.groupCount <= hello.groups.length && hello.keyShareCount <= hello.keyShares.length);
  assert.ok(hello.schemeCount <= hello.schemes.length && hello.certSchemeCount <= hello.certSchemes.length);
  assert.ok(hello.nameLength <= hello.name.length && hello.alpnCount <= hello.alpnStarts.length);
  assert.ok(hello.recordCount <= HELLO_RECORDS_MAX && hello.messageBytes <= hello.joined.length);
  assert.match(hello.serverName() ?? 'none', /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/);
  for (const name of hello.alpnNames()) assert.ok(name.length >= 1 && name.length <= 255);
}

/**
 * Reads `iterations` damaged hellos. Throws when one is answered out of range, or otherwise with other bytes around it, or when a part of it
 * has another answer; the message holds the seed that repeats it.
 */
export function fuzz(seed: number, iterations: number): void {
  const numbersOf = new TestRandom(seed);
  const random = (bound: number): number => numbersOf.below(bound);
  const hello = new ClientHello();
  const shape = shapeOf(hello);
  const buf = Buffer.alloc(INPUT_BYTES_MAX + 2 * GUARD_BYTES);
  for (let i = 0; i < iterations; i++) {
    const made = wellFormed(random);
    const bytes = random(10) === 0 ? made : damaged(made, random);
    try {
      assertReads(bytes, hello, buf, random);
      if (bytes === made && made.length <= HELLO_WIRE_BYTES_MAX) assert.notEqual(readClientHello(made, 0, made.length, hello), NEED_MORE);
    } catch (error) {
      const repeat = `node src/hello/client-hello.fuzz.ts ${seed} ${i + 1}`;
      throw new Error(`iteration ${i}; repeat: ${repeat}\n${bytes.toString('hex', 0, 400)}`, { cause: error });
    }
  }
  assert.deepEqual(shapeOf(hello), shape, `no field appears and no table grows; seed ${seed}`);
}

/** The fields of a hello, in order: their types, and the sizes of its tables. */
function shapeOf(hello: ClientHello): unknown[] {
  return Object.entries(hello).map(([key, value]) => [key, typeof value === 'object' ? value.length : typeof value]);
}

function assertReads(bytes: Buffer, hello: ClientHello, buf: Buffer, random: (bound: number) => number): void {
  const end = GUARD_BYTES + bytes.length;
  buf.fill(0, 0, end + GUARD_BYTES);
  bytes.copy(buf, GUARD_BYTES);
  const result = readClientHello(buf, GUARD_BYTES, end, hello);
  assert.ok(Number.isInteger(result) && (result >= 0 ? result <= bytes.length : FAULTS.includes(result)), `result ${result}`);
  if (result === NEED_MORE)
    assert.ok(hello.neededBytes > bytes.length && hello.neededBytes <= HELLO_WIRE_BYTES_MAX, `neededBytes ${hello.neededBytes}`);
  assertInside(hello);

  // Nothing outside [start, end) is looked at, and nothing of the last hello is left.
  const said = JSON.stringify([hello.describe(), hello.serverName(), hello.alpnNames(), hello.neededBytes]);
  buf.fill(0xff, 0, GUARD_BYTES);
  buf.fill(0xff, end, end + GUARD_BYTES);
  assert.equal(readClientHello(buf, GUARD_BYTES, end, hello), result);
  assert.equal(JSON.stringify([hello.describe(), hello.serverName(), hello.alpnNames(), hello.neededBytes]), said);

  // A part is either too little, by as much as it says, or has the answer of the whole.
  const part = random(bytes.length + 1);
  const early = readClientHello(buf, GUARD_BYTES, GUARD_BYTES + part, hello);
  if (early === NEED_MORE)
    assert.ok(hello.neededBytes > part && (result <= 0 || hello.neededBytes <= result), `neededBytes ${hello.neededBytes}`);
  else assert.equal(early, result);
}

if (import.meta.main) {
  const seed = Number(process.argv[2] ?? Date.now() >>> 0);
  const iterations = Number(process.argv[3] ?? 1_000_000);
  console.log(`seed ${seed}, ${iterations} iterations`);
  fuzz(seed, iterations);
}
