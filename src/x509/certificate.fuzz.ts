/**
 * Fuzzes the certificate reader: real certificates, damaged. What it reads must be what node:crypto reads, where both read it. Run short by
 * certificate.test.ts; long by hand:
 *
 *   node src/x509/certificate.fuzz.ts [seed] [iterations]
 */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import { TestRandom } from '../base/test-random.ts';
import { readCertificate } from './certificate.ts';

/** Values that sit at the edges of lengths and types. */
const EDGES: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 0x0c, 0x13, 0x17, 0x18, 0x1e, 0x30, 0x31, 0x7f, 0x80, 0x81, 0x82, 0xa0, 0xa3, 0xff];

export function fuzz(random: TestRandom, iterations: number): void {
  const originals = rootCertificates.map((pem) => new X509Certificate(pem).raw);
  for (let i = 0; i < iterations; i++) {
    const bytes = Buffer.from(random.of(originals));
    for (let wounds = 1 + random.below(4); wounds > 0; wounds--) {
      const at = random.below(bytes.length);
      if (random.once(2)) bytes[at]! ^= 1 << random.below(8);
      else bytes[at] = random.of(EDGES);
    }
    const input = random.once(8) ? bytes.subarray(0, random.below(bytes.length)) : bytes;
    const before = Buffer.from(input);
    const own = readCertificate(input);
    assert.deepEqual(input, before, 'the input is only read');
    if (own === null) continue;
    for (const text of [own.subject, own.issuer, ...own.dnsNames, ...own.emails, ...own.uris]) assert.match(text, /^[\x20-\x7e]*$/);
    let other: X509Certificate;
    try {
      other = new X509Certificate(input);
    } catch {
      // Node looks further: into keys, for one.
      continue;
    }
    // A damaged serial may be negative: bytes to us, a number with a sign to others.
    if (other.serialNumber.startsWith('-')) continue;
    assert.equal(BigInt(`0x${own.serial}`), BigInt(`0x${other.serialNumber}`));
  }
}

if (import.meta.main) {
  const seed = Number(process.argv[2] ?? Date.now() % 2 ** 32);
  const iterations = Number(process.argv[3] ?? 1_000_000);
  console.log(`seed ${seed}, ${iterations} iterations`);
  fuzz(new TestRandom(seed), iterations);
}
