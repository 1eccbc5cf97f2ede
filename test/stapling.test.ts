import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { checkOcspAnswer } from '../src/certs/ocsp.ts';
import { type MadeClient, TestAuthority } from '../src/x509/test-authority.ts';
import { exchange } from './support/client.ts';
import { httpOrigin } from './support/origin.ts';
import { opensslResponder, Responder } from './support/responder.ts';
import { PROGRAM, Tollgate, until } from './support/tollgate.ts';

const directory = mkdtempSync(join(tmpdir(), 'tollgate-stapling-'));
after(() => rmSync(directory, { recursive: true }));
const authority = new TestAuthority();

function issue(name: string, url: string, more: readonly string[] = []): MadeClient & { readonly files: string } {
  const made = authority.issue(`/CN=${name}`, [`subjectAltName=DNS:${name}`, `authorityInfoAccess=OCSP;URI:${url}`, ...more]);
  writeFileSync(join(directory, `${name}.pem`), made.certificatePem + authority.pem);
  writeFileSync(join(directory, `${name}.key`), made.keyPem, { mode: 0o600 });
  return { ...made, files: `{ certificate: "${directory}/${name}.pem", key: "${directory}/${name}.key" }` };
}

async function start(t: TestContext, engine: string, certificates: readonly { readonly files: string }[]): Promise<Tollgate> {
  const origin = await httpOrigin(t, (_, response) => response.end('ok'));
  return await Tollgate.start(t, {
    config: `
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls: { engine: ${engine}, certificates: [${certificates.map(({ files }) => files).join(', ')}] }
    routes: [{ to: origin }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin.port}"] }
`,
  });
}

/** The response that the server shows with its certificate, or null. */
async function stapled(port: number, servername: string, maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<Buffer | null> {
  return await new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', servername, ca: authority.pem, requestOCSP: true, maxVersion });
    let shown: Buffer | null = null;
    socket.on('OCSPResponse', (response: Buffer | null) => {
      shown = response === null || response.length === 0 ? null : response;
    });
    socket.on('error', reject);
    socket.on('secureConnect', () => {
      socket.destroy();
      resolve(shown);
    });
  });
}

for (const engine of ['s2n', 'openssl']) {
  test(`${engine} shows each certificate's own OCSP response, fetched once, to clients that ask`, async (t) => {
    const responder = new Responder(t, authority, 60);
    await responder.start();
    const [a, b] = [issue('a.example', responder.url), issue('b.example', responder.url)];
    responder.know(a.certificate);
    responder.know(b.certificate);
    const tollgate = await start(t, engine, [a, b]);
    for (const [name, made] of [
      ['a.example', a],
      ['b.example', b],
    ] as const) {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        await until(async () => (await stapled(tollgate.port, name, maxVersion)) !== null);
        const response = await stapled(tollgate.port, name, maxVersion);
        const { verdict } = await checkOcspAnswer(response!, made.certificate, authority.certificate, null, Date.now());
        assert.equal(verdict, 'good');
      }
    }
    assert.equal(responder.asked, 2);
    // A worker that is born later has them too.
    const { workers } = await tollgate.status();
    process.kill(workers[0]!.pid!, 'SIGKILL');
    await until(async () => {
      const next = (await tollgate.status()).workers[0]!;
      return next.serves && next.pid !== workers[0]!.pid;
    }, 30_000);
    assert.notEqual(await stapled(tollgate.port, 'a.example', 'TLSv1.3'), null);
    assert.equal(responder.asked, 2);
  });
}

test('openssl ocsp serves as a responder', async (t) => {
  const url = new Responder(t, authority);
  await url.reserve();
  const made = issue('openssl.example', `http://127.0.0.1:${url.port}/`);
  await opensslResponder(t, authority, [made.certificate], url.port);
  const tollgate = await start(t, 'auto', [made]);
  await until(async () => (await stapled(tollgate.port, 'openssl.example', 'TLSv1.3')) !== null);
});

test('a responder that is down, or says "revoked", costs clients nothing', async (t) => {
  const responder = new Responder(t, authority, 60);
  await responder.start();
  const [lost, revoked] = [issue('lost.example', 'http://127.0.0.1:9/'), issue('revoked.example', responder.url)];
  responder.know(revoked.certificate, true);
  const tollgate = await start(t, 'auto', [lost, revoked]);
  await until(() => tollgate.errors.includes('ECONNREFUSED') && tollgate.errors.includes('is revoked'));
  for (const name of ['lost.example', 'revoked.example']) {
    assert.equal(await stapled(tollgate.port, name, 'TLSv1.3'), null);
    const answer = await exchange(tollgate.port, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', {
      servername: name,
      ca: authority.pem,
    });
    assert.match(answer, /^HTTP\/1\.1 (?:200|421) /);
  }
});

test('check notes a certificate that demands an OCSP response', async (t) => {
  const responder = new Responder(t, authority, 60);
  await responder.start();
  const made = issue('must.example', responder.url, ['tlsfeature=status_request']);
  responder.know(made.certificate);
  const tollgate = await start(t, 'auto', [made]);
  const { status, stderr } = spawnSync(process.execPath, [PROGRAM, 'check', join(tollgate.directory, 'tollgate.yaml')], {
    encoding: 'utf8',
  });
  assert.equal(status, 0);
  assert.match(stderr, /warning: .*must-staple/);
});
