/**
 * Asks a TLS server with hellos made by hand, and reads its answer: which version, suite, group, certificate and signature scheme it chose,
 * or how it refused. Reads TLS 1.3 as far as CertificateVerify: the keys of the handshake are derived here, from nothing but what a client
 * knows. No TLS library has a part in it, so that what a server does is seen, and not what a library thinks of it.
 */
import {
  createDecipheriv,
  createECDH,
  createHash,
  createHmac,
  createPublicKey,
  decapsulate,
  diffieHellman,
  type ECDH,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { type HelloDescription, writeClientHello } from '../../src/hello/hello-writer.ts';

export interface Served {
  readonly served: true;
  readonly version: number;
  readonly suite: number;
  /** 0: no key exchange by groups (RSA). */
  readonly group: number;
  /** A HelloRetryRequest came first. */
  readonly retried: boolean;
  /** 0: nothing was signed, or (before TLS 1.2) nothing says how. */
  readonly scheme: number;
  /** DER of the leaf; null when the server resumed. */
  readonly certificate: Buffer | null;
}

export interface Refused {
  readonly served: false;
  /** Alert description, or null: it just closed. */
  readonly alert: number | null;
}

export type Answer = Served | Refused;

const HRR_RANDOM = createHash('sha256').update('HelloRetryRequest').digest();
/** A server that says nothing at all for this long fails the test. Milliseconds. */
const SILENCE_MS = 20_000;

/** What a client knows of its key shares. Made once: a test's keys protect nothing. */
class ClientKeys {
  readonly shares = new Map<number, Buffer>();
  readonly #x25519 = generateKeyPairSync('x25519');
  readonly #x448 = generateKeyPairSync('x448');
  readonly #ecdh = new Map<number, ECDH>();
  readonly #mlkem512 = generateKeyPairSync('ml-kem-512');
  readonly #mlkem768 = generateKeyPairSync('ml-kem-768');
  readonly #mlkem1024 = generateKeyPairSync('ml-kem-1024');

  constructor() {
    for (const [group, curve] of [
      [0x17, 'prime256v1'],
      [0x18, 'secp384r1'],
      [0x19, 'secp521r1'],
    ] as const) {
      const ecdh = createECDH(curve);
      this.#ecdh.set(group, ecdh);
      this.shares.set(group, ecdh.generateKeys());
    }
    const x25519 = rawKey(this.#x25519.publicKey, 32);
    const mlkem768 = rawKey(this.#mlkem768.publicKey, 1_184);
    const mlkem1024 = rawKey(this.#mlkem1024.publicKey, 1_568);
    this.shares.set(0x1d, x25519);
    this.shares.set(0x1e, rawKey(this.#x448.publicKey, 56));
    this.shares.set(0x200, rawKey(this.#mlkem512.publicKey, 800));
    this.shares.set(0x201, mlkem768);
    this.shares.set(0x202, mlkem1024);
    this.shares.set(0x11ec, Buffer.concat([mlkem768, x25519]));
    this.shares.set(0x11eb, Buffer.concat([this.shares.get(0x17)!, mlkem768]));
    this.shares.set(0x11ed, Buffer.concat([this.shares.get(0x18)!, mlkem1024]));
  }

  secret(group: number, share: Buffer): Buffer {
    switch (group) {
      case 0x17:
      case 0x18:
      case 0x19:
        return this.#ecdh.get(group)!.computeSecret(share);
      case 0x1d:
        return this.#agree(share);
      case 0x1e:
        return agreed(this.#x448.privateKey, 'X448', share);
      case 0x200:
        return decapsulate(this.#mlkem512.privateKey, share);
      case 0x201:
        return decapsulate(this.#mlkem768.privateKey, share);
      case 0x202:
        return decapsulate(this.#mlkem1024.privateKey, share);
      case 0x11ec:
        return Buffer.concat([decapsulate(this.#mlkem768.privateKey, share.subarray(0, 1_088)), this.#agree(share.subarray(1_088))]);
      case 0x11eb:
        return Buffer.concat([this.secret(0x17, share.subarray(0, 65)), decapsulate(this.#mlkem768.privateKey, share.subarray(65))]);
      case 0x11ed:
        return Buffer.concat([this.secret(0x18, share.subarray(0, 97)), decapsulate(this.#mlkem1024.privateKey, share.subarray(97))]);
      default:
        throw new Error(`no key for group 0x${group.toString(16)}`);
    }
  }

  #agree(share: Buffer): Buffer {
    return agreed(this.#x25519.privateKey, 'X25519', share);
  }
}

function agreed(privateKey: KeyObject, crv: string, share: Buffer): Buffer {
  return diffieHellman({
    privateKey,
    publicKey: createPublicKey({ key: { kty: 'OKP', crv, x: share.toString('base64url') }, format: 'jwk' }),
  });
}

function rawKey(key: KeyObject, bytes: number): Buffer {
  const spki = key.export({ type: 'spki', format: 'der' });
  return spki.subarray(spki.length - bytes);
}

const keys = new ClientKeys();

/** Key shares of all groups that this client can go on with. */
export const PROBE_SHARES: ReadonlyMap<number, Buffer> = keys.shares;

/** One hello (and a second one when it is asked for), one answer. */
export async function probe(port: number, client: HelloDescription, name: string | null = 'localhost'): Promise<Answer> {
  const wire = new Wire(connect({ port, host: '127.0.0.1' }));
  try {
    return await negotiate(wire, client, name);
  } finally {
    wire.close();
  }
}

async function negotiate(wire: Wire, client: HelloDescription, name: string | null): Promise<Answer> {
  const first = writeClientHello(client, { name, keys: keys.shares });
  wire.send(first);
  let hello = await readServerHello(wire);
  if (!('suite' in hello)) return hello;
  let transcript = first.subarray(5);
  const retried = hello.retry;
  if (hello.retry) {
    const second = writeClientHello(client, {
      name,
      keys: keys.shares,
      keyShares: [hello.group],
      ...(hello.cookie === null ? {} : { cookie: hello.cookie }),
    });
    wire.send(second);
    const digest = createHash(hashOf(hello.suite)).update(transcript).digest();
    transcript = Buffer.concat([Buffer.of(254, 0, 0, digest.length), digest, hello.message, second.subarray(5)]);
    const again = await readServerHello(wire);
    if (!('suite' in again)) return again;
    hello = again;
  }
  const { version, suite } = hello;
  if (version < 0x0304) return await readOldFlight(wire, version, suite);
  transcript = Buffer.concat([transcript, hello.message]);
  const flight = new SealedFlight(wire, suite, keys.secret(hello.group, hello.share), transcript);
  let certificate: Buffer | null = null;
  for (;;) {
    const message = await flight.next();
    if (!Buffer.isBuffer(message)) return message;
    if (message[0] === 11) {
      const list = 5 + message[4]! + 3;
      certificate = message.subarray(list + 3, list + 3 + message.readUIntBE(list, 3));
    } else if (message[0] === 15) {
      return { served: true, version, suite, group: hello.group, retried, scheme: message.readUInt16BE(4), certificate };
    } else if (message[0] === 20) {
      return { served: true, version, suite, group: hello.group, retried, scheme: 0, certificate };
    }
  }
}

interface ServerHello {
  readonly message: Buffer;
  readonly retry: boolean;
  readonly version: number;
  readonly suite: number;
  readonly group: number;
  readonly share: Buffer;
  readonly cookie: Buffer | null;
}

async function readServerHello(wire: Wire): Promise<ServerHello | Refused> {
  const message = await wire.nextMessage();
  if (!Buffer.isBuffer(message)) return message;
  if (message[0] !== 2) throw new Error(`the server's first message is of type ${message[0]}`);
  let version = message.readUInt16BE(4);
  const retry = message.subarray(6, 38).equals(HRR_RANDOM);
  let at = 39 + message[38]!;
  const suite = message.readUInt16BE(at);
  at += 3;
  let group = 0;
  let share = Buffer.alloc(0);
  let cookie: Buffer | null = null;
  if (at < message.length) {
    at += 2;
    while (at < message.length) {
      const type = message.readUInt16BE(at);
      const body = message.subarray(at + 4, at + 4 + message.readUInt16BE(at + 2));
      at += 4 + body.length;
      if (type === 43) version = body.readUInt16BE(0);
      if (type === 44) cookie = body.subarray(2);
      if (type === 51) {
        group = body.readUInt16BE(0);
        share = Buffer.from(body.subarray(4));
      }
    }
  }
  return { message, retry, version, suite, group, share, cookie };
}

/** TLS 1.2 and before: Certificate, ServerKeyExchange and ServerHelloDone are there to read. */
async function readOldFlight(wire: Wire, version: number, suite: number): Promise<Answer> {
  let certificate: Buffer | null = null;
  let group = 0;
  let scheme = 0;
  for (;;) {
    const message = await wire.nextMessage();
    if (!Buffer.isBuffer(message)) return message;
    if (message[0] === 11) certificate = message.subarray(10, 10 + message.readUIntBE(7, 3));
    else if (message[0] === 12) {
      if (message[4] !== 3) throw new Error('the server sent finite-field parameters, or its own curve');
      group = message.readUInt16BE(5);
      if (version === 0x0303) scheme = message.readUInt16BE(8 + message[7]!);
    } else if (message[0] === 14) return { served: true, version, suite, group, retried: false, scheme, certificate };
  }
}

function hashOf(suite: number): 'sha256' | 'sha384' {
  return suite === 0x1302 ? 'sha384' : 'sha256';
}

/** The server's encrypted messages, RFC 8446, sections 5.2 and 7.1. */
class SealedFlight {
  readonly #wire: Wire;
  readonly #cipher: string;
  readonly #key: Buffer;
  readonly #iv: Buffer;
  #records = 0;
  #pending = Buffer.alloc(0);

  constructor(wire: Wire, suite: number, secret: Buffer, transcript: Buffer) {
    this.#wire = wire;
    const hash = hashOf(suite);
    const bytes = hash === 'sha384' ? 48 : 32;
    const zeros = Buffer.alloc(bytes);
    const derived = expand(hash, hmac(hash, zeros, zeros), 'derived', createHash(hash).digest(), bytes);
    const handshake = hmac(hash, derived, secret);
    const server = expand(hash, handshake, 's hs traffic', createHash(hash).update(transcript).digest(), bytes);
    this.#cipher = CIPHERS.get(suite)!;
    this.#key = expand(hash, server, 'key', Buffer.alloc(0), this.#cipher.startsWith('aes-128') ? 16 : 32);
    this.#iv = expand(hash, server, 'iv', Buffer.alloc(0), 12);
  }

  /** The next handshake message, or the alert instead of it. */
  async next(): Promise<Buffer | Refused> {
    while (this.#pending.length < 4 || this.#pending.length < 4 + this.#pending.readUIntBE(1, 3)) {
      const record = await this.#wire.nextRecord();
      if (record === null) return { served: false, alert: null };
      if (record[0] === 20) continue;
      if (record[0] === 21) return { served: false, alert: record[6]! };
      const plain = this.#open(record);
      let end = plain.length;
      while (plain[end - 1] === 0) end--;
      const type = plain[end - 1];
      if (type === 21) return { served: false, alert: plain[1]! };
      this.#pending = Buffer.concat([this.#pending, plain.subarray(0, end - 1)]);
    }
    const length = 4 + this.#pending.readUIntBE(1, 3);
    const message = this.#pending.subarray(0, length);
    this.#pending = this.#pending.subarray(length);
    return message;
  }

  #open(record: Buffer): Buffer {
    const nonce = Buffer.from(this.#iv);
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ this.#records++) >>> 0, 8);
    const sealed = record.subarray(5);
    const options = { authTagLength: 16 };
    const decipher = createDecipheriv(this.#cipher as 'aes-128-gcm', this.#key, nonce, options);
    decipher.setAuthTag(sealed.subarray(sealed.length - 16));
    // CCM wants the length beforehand; the others do not mind.
    decipher.setAAD(record.subarray(0, 5), { plaintextLength: sealed.length - 16 });
    return Buffer.concat([decipher.update(sealed.subarray(0, sealed.length - 16)), decipher.final()]);
  }
}

const CIPHERS: ReadonlyMap<number, string> = new Map([
  [0x1301, 'aes-128-gcm'],
  [0x1302, 'aes-256-gcm'],
  [0x1303, 'chacha20-poly1305'],
  [0x1304, 'aes-128-ccm'],
]);

function hmac(hash: string, key: Buffer, data: Buffer): Buffer {
  return createHmac(hash, key).update(data).digest();
}

/** HKDF-Expand-Label for one block of output. RFC 8446, section 7.1. */
function expand(hash: string, secret: Buffer, label: string, context: Buffer, bytes: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.of(bytes >> 8, bytes & 0xff, name.length), name, Buffer.of(context.length), context, Buffer.of(1)]);
  return hmac(hash, secret, info).subarray(0, bytes);
}

/** Records of one connection, in order. */
class Wire {
  readonly #socket: Socket;
  #bytes = Buffer.alloc(0);
  #plain = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (data: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, data]);
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    socket.on('end', end).on('close', end).on('error', end);
    socket.setTimeout(SILENCE_MS, () => socket.destroy());
  }

  send(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.destroy();
  }

  async nextRecord(): Promise<Buffer | null> {
    for (;;) {
      if (this.#bytes.length >= 5) {
        const length = 5 + this.#bytes.readUInt16BE(3);
        if (this.#bytes.length >= length) {
          const record = this.#bytes.subarray(0, length);
          this.#bytes = this.#bytes.subarray(length);
          return record;
        }
      }
      if (this.#ended) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The next message that is not encrypted. */
  async nextMessage(): Promise<Buffer | Refused> {
    while (this.#plain.length < 4 || this.#plain.length < 4 + this.#plain.readUIntBE(1, 3)) {
      const record = await this.nextRecord();
      if (record === null) return { served: false, alert: null };
      if (record[0] === 21) {
        // A warning goes before the answer: "unrecognized_name" of OpenSSL.
        if (record[5] === 1 && record[6] !== 0) continue;
        return { served: false, alert: record[6] ?? null };
      }
      if (record[0] === 22) this.#plain = Buffer.concat([this.#plain, record.subarray(5)]);
    }
    const length = 4 + this.#plain.readUIntBE(1, 3);
    const message = this.#plain.subarray(0, length);
    this.#plain = this.#plain.subarray(length);
    return message;
  }
}
