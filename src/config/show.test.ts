import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { stringify } from 'yaml';
import { compile } from './compile.ts';
import { withDefaults } from './describe.ts';
import { loadConfig } from './load.ts';
import { showConfig } from './show.ts';

const TEXT = `include: more.yaml
workers: \${TOLLGATE_TEST_WORKERS:-3}
listeners:
  - name: web
    address: 127.0.0.1:8443
    redirect: https
    socket: { keepAlive: off }
  - name: app
    address: ":8080"
    routes:
      - match: { host: a.example, path: /x/* }
        respond: { body: "\${file:secret}", status: 201 }
      - { to: app, compress: true, host: keep, headers: { request: { set: { X-A: "$\${literal}" } } } }
      - { redirect: "https://b.example{request.target}", match: { host: b.example } }
clients: { handshakes: 50/s, requests: { rate: 100/m, burst: 7 } }
limits: { minimumRate: off }
log: { access: off }
`;
const MORE = 'upstreams: [{ name: app, targets: ["10.0.0.1:80", { address: "10.0.0.2:80", weight: 3 }], timeouts: { connect: 1s } }]\n';

function files(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-show-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, 'site.yaml'), TEXT.replace('"$${literal}"', '"plain"'));
  writeFileSync(join(directory, 'more.yaml'), MORE);
  writeFileSync(join(directory, 'secret'), 'do not show\n');
  return directory;
}

test('what config show --effective shows is loaded as the same plan, and holds no secret', async (t) => {
  const directory = files(t);
  const shown = stringify(await showConfig(join(directory, 'site.yaml'), true));
  assert.equal(shown.includes('do not show'), false);
  assert.match(shown, /body: \$\{file:secret\}/);
  assert.match(shown, /workers: 3\n/);
  writeFileSync(join(directory, 'shown.yaml'), shown);
  const plans = await Promise.all(
    ['site.yaml', 'shown.yaml'].map(
      async (name) => (await compile(await loadConfig(join(directory, name)), { planId: 1, ipv6: true })).plan,
    ),
  );
  assert.deepEqual(plans[1], plans[0]);
});

test('config show shows what was written, in one piece', async (t) => {
  const directory = files(t);
  const shown = stringify(await showConfig(join(directory, 'site.yaml'), false));
  assert.match(shown, /workers: \$\{TOLLGATE_TEST_WORKERS:-3\}/);
  assert.match(shown, /upstreams:\n {2}- name: app/);
  assert.equal(shown.includes('include'), false);
});

test('withDefaults() fills in what is missing and leaves the rest as it is', () => {
  const filled = withDefaults({ listeners: [{ name: 'a', address: ':1', redirect: 'https' }], log: { access: '-' } }) as {
    listeners: { redirect: object }[];
    log: { access: object };
    timeouts: { idle: string };
  };
  assert.deepEqual(filled.listeners[0]!.redirect, { to: 'https', status: 308 });
  assert.deepEqual(filled.log.access, { path: '-', format: 'json', sample: '100%', sampleErrors: true });
  assert.equal(filled.timeouts.idle, '75s');
  assert.deepEqual(withDefaults(filled), filled);
});
