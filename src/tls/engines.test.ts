import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineName } from '../base/engine-name.ts';
import type { TlsClientContext, TlsClientEngine, TlsContext } from './engine.ts';
import { TlsEngines } from './engines.ts';

function engineOf(name: EngineName): TlsClientEngine {
  return {
    name,
    library: name,
    context: (): TlsContext => assert.fail('no context in this test'),
    clientContext: (): TlsClientContext => assert.fail('no context in this test'),
  };
}

test('TlsEngines loads an engine when it is first asked for, and once', () => {
  const made: string[] = [];
  const engines = new TlsEngines({
    s2n: () => {
      made.push('s2n');
      return engineOf('s2n');
    },
    openssl: (path) => {
      made.push(`openssl ${path}`);
      return engineOf('openssl');
    },
  });
  assert.deepEqual(made, []);
  for (let i = 0; i < 2; i++) {
    assert.equal(engines.engine('openssl', null).name, 'openssl');
    assert.equal(engines.engine('s2n', null).name, 's2n');
  }
  assert.deepEqual(made, ['openssl null', 's2n']);
  assert.equal(engines.fastProblem, null);
});

test('TlsEngines puts the complete engine in the place of the fast one that does not load, and tries that no more', () => {
  let tries = 0;
  const engines = new TlsEngines({
    s2n: () => {
      tries++;
      throw new Error('the TLS library x cannot be loaded');
    },
    openssl: () => engineOf('openssl'),
  });
  for (let i = 0; i < 2; i++) assert.equal(engines.engine('s2n', null).name, 'openssl');
  assert.equal(tries, 1);
  assert.equal(engines.fastProblem, 'the TLS library x cannot be loaded');
});

test('TlsEngines does not exchange the library of a running process', () => {
  const engines = new TlsEngines({ s2n: () => engineOf('s2n'), openssl: () => engineOf('openssl') });
  engines.engine('openssl', '/a/libssl.so.3');
  engines.engine('openssl', '/a/libssl.so.3');
  assert.throws(() => engines.engine('openssl', null), /node's own: it needs a restart/);
});
