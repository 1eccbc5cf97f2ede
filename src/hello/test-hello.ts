/**
 * Builds ClientHellos for tests and fuzz runs: any field, right or wrong, in any number of records. Owns the writing side of the
 * wire format, on purpose apart from the reader's; checks nothing.
 */

export interface TestExtension {
  readonly type: number;
  readonly body: Uint8Array;
}

export interface TestHello {
  readonly legacyVersion?: number;
  readonly sessionId?: Uint8Array;
  readonly suites?: readonly number[];
  readonly compressions?: readonly number[];
  /** null: the message ends behind the compression methods, as one of SSLv3 does. */
  readonly extensions?: readonly TestExtension[] | null;
}

const RANDOM = Buffer.alloc(32, 0x5a);

/** A vector behind its length of `lengthBytes` bytes. */
export function vector(lengthBytes: 1 | 2 | 3, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(body.length, 0, lengthBytes);
  return Buffer.concat([length, body]);
}

export function u16(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, i) => {
    bytes.writeUInt16BE(value, i * 2);
  });
  return bytes;
}

export const extensions = {
  serverName: (name: string | Uint8Array, nameType = 0): TestExtension => ({
    type: 0,
    body: vector(2, Buffer.of(nameType), vector(2, typeof name === 'string' ? Buffer.from(name, 'latin1') : name)),
  }),
  groups: (...groups: readonly number[]): TestExtension => ({ type: 10, body: vector(2, u16(...groups)) }),
  schemes: (...schemes: readonly number[]): TestExtension => ({ type: 13, body: vector(2, u16(...schemes)) }),
  certSchemes: (...schemes: readonly number[]): TestExtension => ({ type: 50, body: vector(2, u16(...schemes)) }),
  alpn: (...names: readonly string[]): TestExtension => ({
    type: 16,
    body: vector(2, ...names.map((name) => vector(1, Buffer.from(name, 'latin1')))),
  }),
  padding: (bytes: number): TestExtension => ({ type: 21, body: Buffer.alloc(bytes) }),
  sessionTicket: (bytes: number): TestExtension => ({ type: 35, body: Buffer.alloc(bytes, 0x77) }),
  preSharedKey: (identityBytes = 32, binderBytes = 32): TestExtension => ({
    type: 41,
    body: Buffer.concat([
      vector(2, vector(2, Buffer.alloc(identityBytes, 0x11)), Buffer.alloc(4)),
      vector(2, vector(1, Buffer.alloc(binderBytes, 0x22))),
    ]),
  }),
  earlyData: (): TestExtension => ({ type: 42, body: Buffer.alloc(0) }),
  versions: (...versions: readonly number[]): TestExtension => ({ type: 43, body: vector(1, u16(...versions)) }),
  keyShare: (...shares: readonly (readonly [group: number, keyBytes: number])[]): TestExtension => ({
    type: 51,
    body: vector(2, ...shares.map(([group, keyBytes]) => Buffer.concat([u16(group), vector(2, Buffer.alloc(keyBytes, 0x33))]))),
  }),
};

/** What a browser of today sends, in the same proportions: GREASE, a post-quantum share, two protocols. About 1,750 bytes. */
export function browserHello(name = 'www.example.com'): TestHello {
  return {
    sessionId: Buffer.alloc(32, 0x44),
    suites: [
      0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
    ],
    extensions: [
      { type: 0x3a3a, body: Buffer.alloc(0) },
      extensions.serverName(name),
      { type: 23, body: Buffer.alloc(0) },
      { type: 0xff01, body: Buffer.of(0) },
      extensions.groups(0x4a4a, 0x11ec, 0x001d, 0x0017, 0x0018),
      { type: 11, body: Buffer.of(1, 0) },
      extensions.sessionTicket(0),
      extensions.alpn('h2', 'http/1.1'),
      { type: 5, body: Buffer.of(1, 0, 0, 0, 0) },
      extensions.schemes(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601),
      { type: 18, body: Buffer.alloc(0) },
      extensions.keyShare([0x4a4a, 1], [0x11ec, 1216], [0x001d, 32]),
      { type: 45, body: Buffer.of(1, 1) },
      extensions.versions(0x5a5a, 0x0304, 0x0303),
      { type: 27, body: Buffer.of(2, 0, 2) },
      { type: 0x6a6a, body: Buffer.of(0) },
    ],
  };
}

/** The handshake message, its 4-byte head included. */
export function helloMessage(hello: TestHello = browserHello()): Buffer {
  const {
    legacyVersion = 0x0303,
    sessionId = new Uint8Array(0),
    suites = [0x1301, 0xc02b],
    compressions = [0],
    extensions: list = [],
  } = hello;
  const block = list?.map(({ type, body }) => Buffer.concat([u16(type), vector(2, body)]));
  return Buffer.concat([
    Buffer.of(1),
    vector(
      3,
      u16(legacyVersion),
      RANDOM,
      vector(1, sessionId),
      vector(2, u16(...suites)),
      vector(1, Buffer.from(compressions)),
      ...(block == null ? [] : [vector(2, ...block)]),
    ),
  ]);
}

/** One record. */
export function record(payload: Uint8Array, type = 22, version = 0x0301): Buffer {
  return Buffer.concat([Buffer.of(type), u16(version), vector(2, payload)]);
}

/** `message` in records of the sizes given; what is left goes into one more. */
export function records(message: Uint8Array, sizes: readonly number[] = []): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    if (at >= message.length) break;
    parts.push(record(message.subarray(at, at + size)));
    at += size;
  }
  if (at < message.length) parts.push(record(message.subarray(at)));
  return Buffer.concat(parts);
}

/** A whole hello on the wire. */
export function helloBytes(hello?: TestHello, sizes: readonly number[] = []): Buffer {
  return records(helloMessage(hello), sizes);
}
