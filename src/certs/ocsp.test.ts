import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TestRandom } from '../base/test-random.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { type MadeClient, TestAuthority } from '../x509/test-authority.ts';
import { checkOcspAnswer, makeOcspQuestion } from './ocsp.ts';

const directory = mkdtempSync(join(tmpdir(), 'tollgate-ocsp-'));
after(() => rmSync(directory, { recursive: true }));
const at = (name: string): string => join(directory, name);

const authority = new TestAuthority();
const stranger = new TestAuthority('/CN=Stranger');
const good = authority.issue('/CN=good');
const revoked = authority.issue('/CN=revoked');
const unlisted = authority.issue('/CN=unlisted');
const delegate = authority.issue('/CN=responder', ['extendedKeyUsage=OCSPSigning', 'keyUsage=digitalSignature']);
const impostor = authority.issue('/CN=impostor', ['extendedKeyUsage=clientAuth', 'keyUsage=digitalSignature']);
const foreign = stranger.issue('/CN=foreign', ['extendedKeyUsage=OCSPSigning', 'keyUsage=digitalSignature']);
const own: MadeClient = { certificatePem: authority.pem, keyPem: authority.keyPem, certificate: authority.certificate };

writeFileSync(at('ca.pem'), authority.pem);
const date = (ms: number): string =>
  new Date(ms)
    .toISOString()
    .replace(/[-:T]|\.\d+/g, '')
    .slice(2);
const later = date(Date.now() + 1e9);
writeFileSync(
  at('index.txt'),
  `V\t${later}\t\t${good.certificate.serial.toUpperCase()}\tunknown\t/CN=good\n` +
    `R\t${later}\t${date(Date.now() - 1e6)}\t${revoked.certificate.serial.toUpperCase()}\tunknown\t/CN=revoked\n`,
);

/** What openssl's responder answers. */
function answer(question: Buffer, signer: MadeClient = own, more: readonly string[] = []): Buffer {
  writeFileSync(at('question'), question);
  writeFileSync(at('signer.pem'), signer.certificatePem);
  writeFileSync(at('signer.key'), signer.keyPem);
  const args = ['ocsp', '-index', at('index.txt'), '-CA', at('ca.pem'), '-rsigner', at('signer.pem'), '-rkey', at('signer.key')];
  execFileSync('openssl', [...args, '-reqin', at('question'), '-respout', at('answer'), ...more], { stdio: 'pipe' });
  return readFileSync(at('answer'));
}

test('checkOcspAnswer() takes what the issuer, or one it has delegated to, says', async () => {
  for (const signer of [own, delegate]) {
    for (const flags of [[], ['-resp_no_certs']].slice(0, signer === own ? 2 : 1)) {
      for (const [client, verdict] of [
        [good, 'good'],
        [revoked, 'revoked'],
        [unlisted, 'unknown'],
      ] as const) {
        for (const withNonce of [true, false]) {
          const { bytes, nonce } = makeOcspQuestion(client.certificate, authority.certificate, withNonce);
          const said = await checkOcspAnswer(
            answer(bytes, signer, ['-nmin', '10', ...flags]),
            client.certificate,
            authority.certificate,
            nonce,
            Date.now(),
          );
          assert.equal(said.verdict, verdict);
          assert.ok(said.nextUpdateMs !== null && said.nextUpdateMs - said.thisUpdateMs === 600_000);
        }
      }
    }
  }
});

const refused: readonly (readonly [what: string, signer: MadeClient, message: RegExp])[] = [
  ['a client of the same authority', impostor, /authorized|signing|verification/i],
  ['a responder of another authority', foreign, /./],
];
for (const [what, signer, message] of refused) {
  test(`checkOcspAnswer() refuses ${what}`, async () => {
    const { bytes, nonce } = makeOcspQuestion(good.certificate, authority.certificate, false);
    const response = answer(bytes, signer, ['-nmin', '10']);
    await assert.rejects(checkOcspAnswer(response, good.certificate, authority.certificate, nonce, Date.now()), {
      code: 'ocsp_invalid',
      message,
    });
  });
}

test('checkOcspAnswer() refuses answers about others, of other times, and to other questions', async () => {
  const { bytes } = makeOcspQuestion(good.certificate, authority.certificate, true);
  const response = answer(bytes, own, ['-nmin', '10']);
  const check = (client: MadeClient, nonce: Buffer | null, nowMs: number, issuer = authority): Promise<unknown> =>
    checkOcspAnswer(response, client.certificate, issuer.certificate, nonce, nowMs);
  await assert.rejects(check(revoked, null, Date.now()), /about another certificate/);
  await assert.rejects(check(good, Buffer.alloc(16), Date.now()), /nonce/);
  await assert.rejects(check(good, null, Date.now() + 700_000), /out of date/);
  await assert.rejects(check(good, null, Date.now() - 400_000), /of the future/);
  await assert.rejects(check(good, null, Date.now(), stranger), { code: 'ocsp_invalid' });
  await assert.rejects(checkOcspAnswer(Buffer.from('30030a0103', 'hex'), good.certificate, authority.certificate, null, 0), /try later/);
  await assert.rejects(checkOcspAnswer(Buffer.from('<html>'), good.certificate, authority.certificate, null, 0), { code: 'ocsp_invalid' });
});

test('checkOcspAnswer() never takes a damaged answer for a good one', async (t) => {
  const seed = randomInt(2 ** 32);
  t.diagnostic(`seed ${seed}`);
  const random = new TestRandom(seed);
  const { bytes } = makeOcspQuestion(revoked.certificate, authority.certificate, false);
  const response = answer(bytes, delegate, ['-nmin', '10']);
  for (let i = 0; i < 400; i++) {
    const damaged = Buffer.from(response);
    damaged[random.below(damaged.length)]! ^= 1 << random.below(8);
    try {
      const { verdict } = await checkOcspAnswer(damaged, revoked.certificate, authority.certificate, null, Date.now());
      assert.equal(verdict, 'revoked');
    } catch (error) {
      assert.ok(error instanceof TollgateError, String(error));
    }
  }
});
