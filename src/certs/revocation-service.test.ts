import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { TollgateError } from '../base/tollgate-error.ts';
import type { Plan } from '../plan/plan.ts';
import type { Certificate } from '../x509/certificate.ts';
import { TestAuthority } from '../x509/test-authority.ts';
import { fetchBounded } from './http-fetch.ts';
import { type RevocationQuestion, RevocationService } from './revocation-service.ts';

const authority = new TestAuthority();
const directory = mkdtempSync(join(tmpdir(), 'tollgate-revocation-'));
after(() => rmSync(directory, { recursive: true }));
const at = (name: string): string => join(directory, name);

async function serve(t: TestContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function planWith(lists: readonly string[], fetch = false): Plan {
  const revocation = { lists, fetch, ocsp: false, whenUnknown: 'refuse', refreshMs: 60_000 };
  return { listeners: [{ tls: { rules: [{ clients: { authoritiesBlob: 0, revocation } }] } }] } as unknown as Plan;
}
const BLOBS = [Buffer.from(authority.pem)];

function service(t: TestContext) {
  const heard = { lists: [] as string[], kept: [] as (readonly string[])[], problems: [] as string[] };
  const made = new RevocationService({
    onList: ({ id }) => heard.lists.push(id),
    onKept: (ids) => heard.kept.push(ids),
    onProblem: (message) => heard.problems.push(message),
  });
  t.after(() => made.close());
  return { made, heard };
}

function question(certificate: Certificate, more: Partial<RevocationQuestion> = {}): RevocationQuestion {
  return { certificates: [certificate.der, authority.certificate.der], fetch: false, ocsp: false, refreshMs: 60_000, ...more };
}

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 10_000; !condition(); await new Promise((resolve) => setTimeout(resolve, 10))) {
    if (Date.now() > end) throw new Error(`not in time: ${condition}`);
  }
}

test('RevocationService reads the files of a plan, reads them again when they change, and lets go of them', async (t) => {
  const { made, heard } = service(t);
  writeFileSync(at('a.crl'), authority.list());
  await made.add(planWith([at('a.crl')]), BLOBS);
  assert.equal(heard.lists.length, 1);
  const before = made.lists[0]!.view;
  writeFileSync(at('next'), authority.list({ serials: [Buffer.from([5])], thisUpdateMs: Date.now() + 1_000 }));
  renameSync(at('next'), at('a.crl'));
  await until(() => heard.lists.length === 2);
  assert.equal(made.lists.length, 1);
  assert.equal(made.lists[0]!.view.id, before.id);
  assert.ok(made.lists[0]!.view.thisUpdateMs > before.thisUpdateMs);
  // An older list, or none, takes nobody off.
  writeFileSync(at('a.crl'), authority.list({ thisUpdateMs: Date.now() - 3_600_000 }));
  await until(() => heard.problems.some((each) => each.includes('older than the one before')));
  rmSync(at('a.crl'));
  await until(() => heard.problems.some((each) => each.includes('there is no file')));
  assert.equal(made.lists.length, 1);
  made.keepOnly(planWith([]));
  assert.deepEqual(heard.kept, [[]]);
  assert.equal(made.lists.length, 0);
});

test('RevocationService fetches the list that a certificate names, once for many questions, and not again when it fails', async (t) => {
  let asked = 0;
  const url = await serve(t, (request, response) => {
    asked++;
    if (request.url === '/list.crl') response.end(authority.list());
    else response.writeHead(500).end();
  });
  const { made, heard } = service(t);
  const issue = (path: string): Certificate => authority.issue('/CN=x', [`crlDistributionPoints=URI:${url}${path}`]).certificate;
  const [good, bad] = [issue('/list.crl'), issue('/fails.crl')];
  for (let i = 0; i < 3; i++) await made.answer(question(bad, { fetch: true }));
  assert.equal(asked, 1);
  assert.match(heard.problems.join(), /fails\.crl cannot be used: status 500/);
  const answers = await Promise.all(Array.from({ length: 10 }, () => made.answer(question(good, { fetch: true }))));
  assert.equal(asked, 2);
  for (const { lists } of answers) assert.equal(lists.length, 1, 'handed to whoever asks');
  assert.equal((await made.answer(question(good))).lists.length, 1);
});

test('RevocationService asks nobody by anything but http, and nothing of what cannot be read', async (t) => {
  const { made, heard } = service(t);
  const odd = authority.issue('/CN=x', [
    'crlDistributionPoints=URI:https://127.0.0.1:9/a,URI:ldap://127.0.0.1/b,URI:file:///etc/passwd',
    'authorityInfoAccess=OCSP;URI:https://127.0.0.1:9/',
  ]).certificate;
  const { answers } = await made.answer(question(odd, { fetch: true, ocsp: true }));
  assert.equal(answers[0]!.verdict, 'unknown');
  assert.deepEqual(heard.problems, []);
  const rubbish = await made.answer({ certificates: [Buffer.from('a'), Buffer.from('b')], fetch: true, ocsp: true, refreshMs: 1_000 });
  assert.equal(rubbish.answers[0]!.verdict, 'unknown');
});

test('fetchBounded() is bounded in bytes, time and redirects, and goes to http alone', async (t) => {
  const url = await serve(t, (request, response) => {
    const to: Record<string, string> = { '/loop': '/loop', '/out': 'https://127.0.0.1/', '/file': 'file:///etc/passwd', '/once': '/ok' };
    const location = to[request.url ?? ''];
    if (location !== undefined) response.writeHead(302, { location }).end();
    else if (request.url === '/big') response.end(Buffer.alloc(5_000));
    else if (request.url === '/half') {
      response.writeHead(200, { 'content-length': '100' }).write('x');
      setImmediate(() => response.destroy());
    } else if (request.url === '/ok') response.end('ok');
    // Anything else is never answered.
  });
  const fetch = async (address: string): Promise<string> => {
    let text = '';
    await fetchBounded(address, {
      method: 'GET',
      headers: {},
      bytesMax: 1_000,
      timeoutMs: 500,
      signal: new AbortController().signal,
      onBytes: (bytes) => {
        text += bytes.toString();
      },
    });
    return text;
  };
  assert.equal(await fetch(`${url}/once`), 'ok');
  for (const [address, message] of [
    [`${url}/loop`, /from one place to the next/],
    [`${url}/out`, /no http:\/\/ address/],
    [`${url}/file`, /no http:\/\/ address/],
    [`${url}/big`, /more than 1000 bytes/],
    [`${url}/half`, /ECONNRESET|broke off|aborted/],
    [`${url}/silent`, /in time/],
    ['http://user:word@127.0.0.1/', /a password/],
    ['http://127.0.0.1:9/', /ECONNREFUSED/],
  ] as const) {
    await assert.rejects(fetch(address), (error) => error instanceof TollgateError && message.test(error.message), address);
  }
});
