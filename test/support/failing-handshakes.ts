/** Ways in which a handshake fails, as raw bytes, and what is said of each; for the listener below. */
import { connect, type Socket } from 'node:net';
import { type HelloDescription, writeClientHello } from '../../src/hello/hello-writer.ts';
import { leaf } from './certificates.ts';
import { PROBE_SHARES } from './tls-probe.ts';
import { until } from './tollgate.ts';

const TLS12: HelloDescription = {
  legacyVersion: 0x0303,
  versions: [],
  suites: [0xc02b],
  groups: [0x17, 0x1d],
  keyShares: [],
  signatureSchemes: [0x0403],
  alpn: ['http/1.1'],
  extensions: [0xff01],
};
const TLS13: HelloDescription = { ...TLS12, versions: [0x0304], suites: [0x1301], groups: [0x17], keyShares: [0x17] };

const hello = (client: Partial<HelloDescription>, base = TLS12, name: string | null = 'localhost'): Buffer =>
  writeClientHello({ ...base, ...client }, { name, keys: PROBE_SHARES });
const record = (type: number, body: Uint8Array, version = 0x0303): Buffer => {
  const head = Buffer.from([type, version >> 8, version & 0xff, body.length >> 8, body.length & 0xff]);
  return Buffer.concat([head, body]);
};
const alert = (level: number, description: number): Buffer => record(21, Buffer.of(level, description));
const message = (type: number, body: Uint8Array): Buffer =>
  record(22, Buffer.concat([Buffer.of(type, 0, body.length >> 8, body.length & 0xff), body]));
const many = (times: number, one: Buffer): Buffer => Buffer.concat(Array.from({ length: times }, () => one));
const NOISE = Buffer.alloc(40, 0x5a);
const KEY_EXCHANGE = message(16, Buffer.concat([Buffer.of(65), PROBE_SHARES.get(0x17)!]));
const CHANGE_CIPHER = record(20, Buffer.of(1));

export type Step = Buffer | 'answer' | 'end';
type Expected = readonly [reason: string, alert: number | null];
export interface FailingHandshake {
  readonly steps: readonly Step[];
  readonly s2n: Expected;
  readonly openssl: Expected;
}
const both = (reason: string, alert: number | null) => ({ s2n: [reason, alert], openssl: [reason, alert] }) as const;
/** Behind the server's first answer. */
const then = (...steps: readonly Step[]): readonly Step[] => [hello({}), 'answer', ...steps];
const then13 = (...steps: readonly Step[]): readonly Step[] => [hello({}, TLS13), 'answer', ...steps];

export const FAILING_HANDSHAKES: Readonly<Record<string, FailingHandshake>> = {
  HTTP: { ...both('plain_http', null), steps: [Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')] },
  'no TLS at all': { ...both('not_tls', null), steps: [NOISE] },
  'an alert before anything': { ...both('not_tls', null), steps: [alert(2, 40)] },
  'a hello of SSL 2.0': {
    ...both('sslv2', 70),
    steps: [Buffer.from(`802e0100020015000000100100800200800600400400800700c0030080${'11'.repeat(16)}`, 'hex')],
  },
  'a hello of SSL 3.0': { ...both('no_shared_version', 70), steps: [hello({ legacyVersion: 0x0300, extensions: [] })] },
  'an empty record': { ...both('malformed_hello', 50), steps: [record(22, Buffer.alloc(0))] },
  'an empty hello': { ...both('malformed_hello', 50), steps: [message(1, Buffer.alloc(0))] },
  'a giant hello': { ...both('hello_too_large', 50), steps: [record(22, Buffer.of(1, 0, 0x80, 0))] },
  'a hello in a record over the limit': {
    ...both('malformed_hello', 50),
    steps: [Buffer.concat([Buffer.of(22, 3, 1, 0x48, 0x01, 1, 0, 0x48, 0), Buffer.alloc(0x47fd)])],
  },
  'half a hello, then the end': { ...both('hello_gone', null), steps: [hello({}).subarray(0, 60), 'end'] },
  'half a hello, then silence': { ...both('hello_timeout', null), steps: [hello({}).subarray(0, 60)] },
  'a name that nobody serves': { ...both('unknown_name', 112), steps: [hello({}, TLS12, 'other.test')] },
  'no protocol in common': { ...both('no_shared_protocol', 120), steps: [hello({ alpn: ['spdy/1'] })] },
  'TLS 1.1': { ...both('no_shared_version', 70), steps: [hello({ legacyVersion: 0x0302 })] },
  'TLS 1.2, below the floor': { ...both('below_minimum_version', 70), steps: [hello({}, TLS12, 'floor.test')] },
  'no ML-KEM': { ...both('not_post_quantum', 40), steps: [hello({}, TLS13, 'quantum.test')] },
  'TLS 1.3 alone, where there is none': { ...both('no_shared_version', 70), steps: [hello({}, TLS13, 'old.test')] },
  // A policy of s2n without TLS 1.3 does not read which versions a client lists.
  'TLS 1.3 and suites of TLS 1.2, where there is none': {
    ...both('no_shared_version', 70),
    steps: [hello({ versions: [0x0304], suites: [0x1301, 0xc02b] }, TLS13, 'old.test')],
  },
  'a fallback': {
    ...both('inappropriate_fallback', 86),
    steps: [hello({ legacyVersion: 0x0302, suites: [0xc009, 0x5600] }, TLS12, 'old.test')],
  },
  'no suite of TLS 1.2': { ...both('no_shared_suite', 40), steps: [hello({ suites: [0x0005] })] },
  'suites for another kind of key': { ...both('no_shared_suite', 40), steps: [hello({ suites: [0xc02f] })] },
  'no suite of TLS 1.3': { ...both('no_shared_suite', 40), steps: [hello({ suites: [0x1305] }, TLS13)] },
  'no group for a suite of TLS 1.2': { ...both('no_shared_group', 40), steps: [hello({ groups: [0x1e] })] },
  'no group of TLS 1.3': { ...both('no_shared_group', 40), steps: [hello({ groups: [0x1e], keyShares: [] }, TLS13)] },
  'no scheme of TLS 1.2': { ...both('no_shared_signature_scheme', 40), steps: [hello({ signatureSchemes: [0x0807] })] },
  'no scheme of TLS 1.3': { ...both('no_shared_signature_scheme', 40), steps: [hello({ signatureSchemes: [0x0807] }, TLS13)] },
  'no scheme for the key': { ...both('no_shared_signature_scheme', 40), steps: [hello({ signatureSchemes: [0x0804] }, TLS13)] },
  'no schemes in TLS 1.2, where SHA-1 is not taken': {
    s2n: ['no_shared_signature_scheme', 40],
    openssl: ['no_shared_suite', 40],
    steps: [hello({ signatureSchemes: [] })],
  },
  'no schemes in TLS 1.3': { ...both('no_shared_signature_scheme', 109), steps: [hello({ signatureSchemes: [] }, TLS13)] },
  'an alert from a client of TLS 1.2': { ...both('client_alert', 48), steps: then(alert(2, 48)) },
  'an alert from a client of TLS 1.3': { ...both('client_alert', 48), steps: then13(alert(2, 48)) },
  'a warning in the middle': { s2n: ['client_alert', 90], openssl: ['client_gone', 50], steps: then(alert(1, 90), 'end') },
  'many warnings': { s2n: ['client_alert', 90], openssl: ['malformed', 10], steps: then(many(200, alert(1, 90))) },
  'close_notify in TLS 1.2': { ...both('client_gone', null), steps: then(alert(1, 0)) },
  'close_notify in TLS 1.3': { ...both('client_gone', null), steps: then13(alert(1, 0)) },
  'gone behind its hello': { s2n: ['client_gone', null], openssl: ['client_gone', 50], steps: then('end') },
  'gone behind its hello of TLS 1.3': { s2n: ['client_gone', null], openssl: ['client_gone', 50], steps: then13('end') },
  'gone behind its key': { s2n: ['client_gone', null], openssl: ['client_gone', 50], steps: then(KEY_EXCHANGE, 'end') },
  'silent behind its hello': { ...both('handshake_timeout', null), steps: then() },
  'silent behind its hello of TLS 1.3': { ...both('handshake_timeout', null), steps: then13() },
  'a message out of its turn': { ...both('malformed', 10), steps: then(message(20, NOISE)) },
  'a message of TLS 1.3 that should be sealed': { s2n: ['malformed', null], openssl: ['malformed', 10], steps: then13(message(20, NOISE)) },
  'a key that is no point': { ...both('malformed', 47), steps: then(message(16, Buffer.concat([Buffer.of(65), Buffer.alloc(65, 4)]))) },
  'many empty records': { ...both('malformed', 10), steps: then(many(200, record(22, Buffer.alloc(0)))) },
  'a record of no kind': { ...both('malformed', 10), steps: then(record(99, NOISE)) },
  'a record over 2^14': { ...both('malformed', 22), steps: then(Buffer.of(22, 3, 3, 0x48, 0x01), Buffer.alloc(0x4801)) },
  'a sealed record over 2^14 + 256': {
    s2n: ['malformed', null],
    openssl: ['malformed', 22],
    steps: then13(Buffer.of(23, 3, 3, 0x41, 0x01), Buffer.alloc(0x4101)),
  },
  'a record of another version': { s2n: ['malformed', 10], openssl: ['malformed', 70], steps: then(record(22, NOISE, 0x0302)) },
  'a record of no version': { s2n: ['malformed', 10], openssl: ['malformed', 70], steps: then(record(22, NOISE, 0x0505)) },
  'a sealed record of no version': { s2n: ['malformed', null], openssl: ['malformed', 50], steps: then13(record(23, NOISE, 0x0505)) },
  'ChangeCipherSpec too soon': { ...both('malformed', 10), steps: then(CHANGE_CIPHER) },
  'application data in the middle': { s2n: ['decrypt_error', null], openssl: ['malformed', 10], steps: then(record(23, NOISE)) },
  'a second hello': { ...both('malformed', 10), steps: then(record(22, hello({}).subarray(5))) },
  'noise where TLS 1.2 is sealed': {
    s2n: ['decrypt_error', null],
    openssl: ['decrypt_error', 20],
    steps: then(KEY_EXCHANGE, CHANGE_CIPHER, record(22, NOISE)),
  },
  'noise where TLS 1.3 is sealed': { s2n: ['decrypt_error', null], openssl: ['decrypt_error', 20], steps: then13(record(23, NOISE)) },
};

/** A listener that all of it holds for, as an entry of `listeners`. */
export function failingListener(engine: string, name = 'web', port: number | 'PORT' = 'PORT'): string {
  const { certificate, key } = leaf(['localhost', 'floor.test', 'quantum.test', 'old.test']);
  return `  - name: ${name}
    address: "127.0.0.1:${port}"
    tls:
      engine: ${engine}
      strict: true
      certificates: [{ certificate: ${certificate}, key: ${key} }]
      names:
        - { match: floor.test, minimumVersion: 1.3 }
        - { match: quantum.test, requirePostQuantum: true }
        - { match: old.test, policy: ELBSecurityPolicy-2016-08 }
    routes: [{ to: app }]
`;
}

/** What came to a client, and whether the server has ended. */
export interface Seen {
  bytes: Buffer;
  ended: boolean;
  readonly socket: Socket;
}

/** Says what it has to, from `address`. */
export async function play(port: number, address: string, steps: readonly Step[]): Promise<Seen> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: address, allowHalfOpen: true });
  const seen: Seen = { bytes: Buffer.alloc(0), ended: false, socket };
  socket.on('error', () => {});
  socket.on('data', (data: Buffer) => {
    seen.bytes = Buffer.concat([seen.bytes, data]);
  });
  for (const event of ['end', 'close']) {
    socket.on(event, () => {
      seen.ended = true;
    });
  }
  for (const step of steps) {
    if (step === 'end') socket.end();
    else if (step === 'answer') await until(() => seen.bytes.length > 0);
    else socket.write(step);
  }
  return seen;
}
