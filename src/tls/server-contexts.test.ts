import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Plan, ServerTlsPlan } from '../plan/plan.ts';
import type { ClientContextOptions, TlsClientContext, TlsClientEngine } from './engine.ts';
import { ServerContexts } from './server-contexts.ts';

const PLAN: Plan = { certificates: [{ chainBlob: 1, keyBlob: 2 }] } as unknown as Plan;
const BLOBS = ['authorities', 'chain', 'key'].map((text) => Buffer.from(text));
const TLS: ServerTlsPlan = {
  id: 'a',
  policy: 'intermediate@1',
  verifies: true,
  authoritiesBlob: 0,
  depth: 2,
  certificate: 0,
  pins: [],
  alpn: ['http/1.1'],
  handshakeMs: 1_000,
  peers: [],
};

class Recorder {
  readonly made: ClientContextOptions[] = [];
  readonly trusted: string[] = [];
  retired = 0;
  readonly engine: TlsClientEngine = {
    name: 'openssl',
    library: '',
    context: () => assert.fail('no context for clients'),
    clientContext: (options): TlsClientContext => {
      this.made.push(options);
      return { session: () => null, trust: (pem) => void this.trusted.push(String(pem)), retire: () => void this.retired++ };
    },
  };
}

test('ServerContexts shares what has the same rules, and retires it when nobody wants it', () => {
  const contexts = new ServerContexts();
  const recorder = new Recorder();
  const take = (tls: ServerTlsPlan): TlsClientContext => whole(contexts.take(() => recorder.engine, PLAN, tls, BLOBS)).made;
  const first = take(TLS);
  assert.equal(take(TLS), first);
  assert.notEqual(take({ ...TLS, id: 'b', verifies: false, authoritiesBlob: null, certificate: null }), first);
  const [known, unknown] = recorder.made;
  assert.deepEqual([recorder.trusted, known!.depth, known!.alpn], [['authorities'], 2, ['http/1.1']]);
  assert.deepEqual([String(known!.certificate!.chainPem), String(known!.certificate!.keyPem)], ['chain', 'key']);
  assert.equal(unknown!.certificate, null);
  contexts.giveBack('a');
  assert.equal(recorder.retired, 0);
  contexts.giveBack('a');
  contexts.giveBack('b');
  assert.deepEqual([recorder.retired, contexts.size], [2, 0]);
});

test('ServerContexts trusts many authorities a few at a time', () => {
  const contexts = new ServerContexts();
  const recorder = new Recorder();
  const one = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  const { steps } = whole(contexts.take(() => recorder.engine, PLAN, TLS, [Buffer.from(one.repeat(20)), ...BLOBS.slice(1)]));
  assert.equal(steps, 3);
  assert.deepEqual(
    recorder.trusted,
    [8, 8, 4].map((count) => one.repeat(count)),
  );
});

test('ServerContexts keeps nothing of what could not be made', () => {
  const contexts = new ServerContexts();
  const nothing = (): TlsClientEngine => {
    throw new Error('no library');
  };
  assert.throws(() => whole(contexts.take(nothing, PLAN, TLS, BLOBS)), /no library/);
  const recorder = new Recorder();
  recorder.trusted.push = (): number => {
    throw new Error('no authority');
  };
  assert.throws(() => whole(contexts.take(() => recorder.engine, PLAN, TLS, BLOBS)), /no authority/);
  assert.deepEqual([contexts.size, recorder.retired], [0, 1]);
});

function whole(take: Generator<undefined, TlsClientContext, undefined>): { readonly made: TlsClientContext; readonly steps: number } {
  for (let steps = 0; ; steps++) {
    const step = take.next();
    if (step.done === true) return { made: step.value, steps };
  }
}
