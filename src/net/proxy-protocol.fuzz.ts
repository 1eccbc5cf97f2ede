/**
 * Fuzzes the reader of PROXY headers: well-formed ones, damaged. Run short by proxy-protocol.test.ts; long by hand:
 *
 *   node src/net/proxy-protocol.fuzz.ts [seed] [iterations]
 */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import {
  FAULT_PROXY_HEADER_CHECKSUM,
  FAULT_PROXY_HEADER_MALFORMED,
  FAULT_PROXY_HEADER_MISSING,
  FAULT_PROXY_HEADER_TOO_LARGE,
  NEED_MORE,
} from '../base/faults.ts';
import { PROXY_HEADER_BYTES_MAX } from '../base/limits.ts';
import { TestRandom } from '../base/test-random.ts';
import { ProxyHeader, readProxyHeader, writeProxyHeader } from './proxy-protocol.ts';

const FAULTS: readonly number[] = [
  FAULT_PROXY_HEADER_MISSING,
  FAULT_PROXY_HEADER_MALFORMED,
  FAULT_PROXY_HEADER_CHECKSUM,
  FAULT_PROXY_HEADER_TOO_LARGE,
];
const ADDRESSES = ['192.0.2.1', '0.0.0.0', '255.255.255.255', '::', '::1', '2001:db8::7', '::ffff:10.0.0.1', 'fe80::1:2:3', 'unix'];
const PIECES = ['PROXY ', 'TCP4', 'TCP6', 'UNKNOWN', ' ', '\r\n', '\r', '\n', '0', '65535', '1.2.3.4', '::1', '::', '.', '\0', 'ffff:'];
const GUARD_BYTES = 32;

function wellFormed(random: TestRandom): Buffer {
  const text = (bytes: number): string => 'x'.repeat(random.below(bytes));
  const content = {
    clientAddress: random.of(ADDRESSES),
    serverAddress: random.of(ADDRESSES),
    clientPort: random.below(65_536),
    serverPort: random.below(65_536),
    tls: random.once(2) ? null : { version: 'TLSv1.3', cipher: text(60), clientName: random.once(2) ? null : text(300), isVerified: true },
    protocol: text(20),
    authority: random.once(2) ? null : text(300),
    uniqueId: random.once(2) ? null : Buffer.alloc(random.below(129), 1),
  };
  const header = writeProxyHeader(random.once(2) ? 1 : 2, content);
  return Buffer.concat([header, Buffer.alloc(random.below(40), random.below(256))]);
}

function damaged(input: Buffer, random: TestRandom): Buffer {
  let bytes = Buffer.from(input);
  for (let wounds = 1 + random.below(4); wounds > 0 && bytes.length > 1; wounds--) {
    const at = random.below(Math.min(bytes.length, random.once(2) ? 20 : bytes.length));
    switch (random.below(5)) {
      case 0:
        bytes[at]! ^= 1 << random.below(8);
        break;
      case 1:
        bytes[at] = random.below(256);
        break;
      case 2:
        bytes = bytes.subarray(0, at);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(4))]);
        break;
      default:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(random.of(PIECES), 'latin1'), bytes.subarray(at)]);
        break;
    }
  }
  return Buffer.from(bytes);
}

function assertReads(bytes: Buffer, header: ProxyHeader, random: TestRandom): number {
  const end = GUARD_BYTES + bytes.length;
  const buf = Buffer.alloc(end + GUARD_BYTES, random.below(256));
  bytes.copy(buf, GUARD_BYTES);
  const result = readProxyHeader(buf, GUARD_BYTES, end, header);
  assert.ok(Number.isInteger(result) && (result >= 0 ? result <= bytes.length : FAULTS.includes(result)), `result ${result}`);
  if (result === NEED_MORE) assert.ok(header.neededBytes > bytes.length && header.neededBytes <= PROXY_HEADER_BYTES_MAX);
  if (header.isRelayed) {
    assert.ok(result > 0);
    for (const address of [header.clientAddress, header.serverAddress]) assert.ok(isIP(address) !== 0 || address === 'unix', address);
    for (const port of [header.clientPort, header.serverPort]) assert.ok(port >= 0 && port <= 65_535);
  }
  const said = JSON.stringify(header);
  buf.fill(~buf[0]!, 0, GUARD_BYTES);
  buf.fill(~buf[0]!, end);
  assert.equal(readProxyHeader(buf, GUARD_BYTES, end, header), result);
  assert.equal(JSON.stringify(header), said);
  const part = random.below(bytes.length + 1);
  const early = readProxyHeader(buf, GUARD_BYTES, GUARD_BYTES + part, header);
  if (early === NEED_MORE) assert.ok(result <= 0 || header.neededBytes <= result, `neededBytes ${header.neededBytes}`);
  else assert.equal(early, result);
  return result;
}

/** Reads `iterations` headers, most of them damaged. Throws with the seed that repeats it. */
export function fuzz(seed: number, iterations: number): void {
  const random = new TestRandom(seed);
  const header = new ProxyHeader();
  for (let i = 0; i < iterations; i++) {
    const made = wellFormed(random);
    const bytes = random.once(10) ? made : damaged(made, random);
    try {
      const result = assertReads(bytes, header, random);
      if (bytes === made) assert.ok(result > 0);
    } catch (error) {
      const repeat = `node src/net/proxy-protocol.fuzz.ts ${seed} ${i + 1}`;
      throw new Error(`iteration ${i}; repeat: ${repeat}\n${bytes.toString('hex', 0, 400)}`, { cause: error });
    }
  }
}

if (import.meta.main) {
  const seed = Number(process.argv[2] ?? Date.now() >>> 0);
  const iterations = Number(process.argv[3] ?? 1_000_000);
  console.log(`seed ${seed}, ${iterations} iterations`);
  fuzz(seed, iterations);
}
