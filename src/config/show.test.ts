/** That what is shown is the same configuration is held over all goldens: scripts/goldens.test.ts. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { stringify } from 'yaml';
import { withDefaults } from './describe.ts';
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
