import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { compile } from './compile.ts';
import { ConfigError } from './findings.ts';
import { freePort } from './free-port.ts';
import { quickConfig } from './quick.ts';
import { makeCertificate, writePair } from './test-certificates.ts';

const certificate = { certificatePath: '/data/localhost.pem', keyPath: '/data/localhost.key' };

function refusal(options: { from?: string; to: string | string[]; admin?: string }): string {
  try {
    quickConfig({ ...options, certificate });
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
  return assert.fail('it was taken');
}

test('quickConfig() makes a configuration that compiles', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-quick-'));
  t.after(() => rmSync(directory, { recursive: true }));
  writePair(directory, 'localhost', await makeCertificate({ names: ['localhost'] }));
  const files = { certificatePath: join(directory, 'localhost.pem'), keyPath: join(directory, 'localhost.key') };
  const { plan, warnings } = await compile(quickConfig({ from: ':8443', to: '127.0.0.1:3000', certificate: files, admin: 'off' }), {
    planId: 1,
    ipv6: true,
  });
  assert.deepEqual(warnings, []);
  assert.deepEqual(
    plan.listeners.map(({ address }) => address),
    [
      { family: 4, ip: '0.0.0.0', port: 8443 },
      { family: 6, ip: '::', port: 8443 },
    ],
  );
  assert.deepEqual(plan.upstreams[0]?.targets[0]?.addresses, [{ family: 4, ip: '127.0.0.1', port: 3000 }]);
  assert.deepEqual(plan.certificates[0]?.names, ['localhost']);
});

test('quickConfig() listens on the loopback when nothing is said, and takes bare ports', () => {
  const { config } = quickConfig({ to: ['3000', ':3001'], certificate });
  assert.equal(config.listeners[0]?.address.text, 'localhost:8443');
  assert.deepEqual(
    config.upstreams[0]?.targets.map(({ address }) => address.text),
    ['127.0.0.1:3000', '127.0.0.1:3001'],
  );
  assert.equal(quickConfig({ from: '443', to: '3000', certificate }).config.listeners[0]?.address.text, ':443');
});

test('quickConfig() blames the option', () => {
  assert.match(refusal({ from: 'example.com:443', to: '3000' }), /^command line: --from: found 'example.com:443', expected .*not a name$/);
  assert.match(refusal({ to: 'http://localhost:3000' }), /^command line: --to: found 'http:\/\/localhost:3000', which is a URL/);
  assert.match(refusal({ to: [] }), /^command line: --to: found an empty list/);
  assert.match(refusal({ from: 'x', to: 'y' }), /^command line: --from: .*\ncommand line: --to: /);
  assert.match(refusal({ to: '3000', admin: '9' }), /^command line: --admin: /);
});

test('freePort() passes over a port in use, on any address', async (t) => {
  for (const host of ['127.0.0.1', '0.0.0.0']) {
    const server = createServer();
    t.after(() => server.close());
    const { promise, resolve } = Promise.withResolvers<number>();
    server.listen(0, host, () => resolve((server.address() as AddressInfo).port));
    const taken = await promise;
    assert.notEqual(await freePort(taken), taken);
  }
});
