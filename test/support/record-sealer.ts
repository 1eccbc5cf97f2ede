/**
 * Seals TLS records by hand, on a connection whose handshake Node's client has made: of any length, whatever a library would refuse to send.
 * What the server says to them Node's client reads. AES-128-GCM alone.
 */
import { createCipheriv, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import { until } from './tollgate.ts';

export type SealedVersion = 'TLSv1.2' | 'TLSv1.3';

const TAG_BYTES = 16;
const ALERT = 21;
const APPLICATION_DATA = 23;
const CIPHERS = { 'TLSv1.2': 'ECDHE-ECDSA-AES128-GCM-SHA256', 'TLSv1.3': 'TLS_AES_128_GCM_SHA256' };
/** A ServerHello begins with record, message, and version. */
const SERVER_RANDOM_AT = 5 + 4 + 2;

export class RecordSealer {
  readonly version: SealedVersion;
  readonly below: Socket;
  readonly #wire: Wire;
  readonly #socket: TLSSocket;
  received = '';
  failure: NodeJS.ErrnoException | null = null;
  readonly #key: Buffer;
  readonly #iv: Buffer;
  /** Records sent under this key. Finished is the first in TLS 1.2; in 1.3 it has another key. */
  #sent: number;

  private constructor(version: SealedVersion, socket: TLSSocket, wire: Wire, key: Buffer, iv: Buffer) {
    this.version = version;
    this.below = wire.socket;
    this.#wire = wire;
    this.#socket = socket;
    this.#key = key;
    this.#iv = iv;
    this.#sent = version === 'TLSv1.2' ? 1 : 0;
    socket.on('data', (data: Buffer) => {
      this.received += data.toString('latin1');
    });
    socket.on('error', (error) => {
      this.failure = error;
    });
  }

  static async open(port: number, version: SealedVersion): Promise<RecordSealer> {
    const wire = new Wire(port);
    const socket = connect({
      socket: wire.stream,
      servername: 'localhost',
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
      ecdhCurve: 'P-256',
      ciphers: CIPHERS[version],
    });
    const secrets = new Map<string, readonly [random: Buffer, secret: Buffer]>();
    socket.on('keylog', (line: Buffer) => {
      const [label = '', random = '', secret = ''] = line.toString('latin1').trim().split(' ');
      secrets.set(label, [Buffer.from(random, 'hex'), Buffer.from(secret, 'hex')]);
    });
    await once(socket, 'secureConnect');
    // Its Finished, the record behind ChangeCipherSpec, goes before what is sealed here.
    await until(() => {
      const types = recordsIn(wire.up).map(({ type }) => type);
      return types.includes(20) && types.at(-1) !== 20;
    });
    if (version === 'TLSv1.3') {
      const [, secret] = secrets.get('CLIENT_TRAFFIC_SECRET_0')!;
      return new RecordSealer(version, socket, wire, label(secret, 'key', 16), label(secret, 'iv', 12));
    }
    const [clientRandom, master] = secrets.get('CLIENT_RANDOM')!;
    const serverRandom = wire.down.subarray(SERVER_RANDOM_AT, SERVER_RANDOM_AT + 32);
    const block = expand12(master, Buffer.concat([Buffer.from('key expansion'), serverRandom, clientRandom]), 40);
    return new RecordSealer(version, socket, wire, block.subarray(0, 16), block.subarray(32, 36));
  }

  /** Lengths of the records that came, sealed, in their order. */
  get came(): number[] {
    return recordsIn(this.#wire.down).map(({ length }) => length);
  }

  /** The server has ended its direction. */
  get ended(): boolean {
    return this.#wire.ended;
  }

  /** Sends `content` in one record of application data. `padding`: zeros behind it, TLS 1.3. */
  send(content: Buffer, padding = 0): void {
    this.#send(APPLICATION_DATA, content, padding);
  }

  /** Says that nothing more comes. */
  sayGoodbye(): void {
    this.#send(ALERT, Buffer.of(1, 0), 0);
  }

  #send(type: number, content: Buffer, padding: number): void {
    this.below.write(this.version === 'TLSv1.3' ? this.#sealed13(type, content, padding) : this.#sealed12(type, content));
    this.#sent++;
  }

  /** Sends what claims to be a sealed record of so many bytes, and is none. */
  sendNoise(bytes: number): void {
    this.below.write(Buffer.concat([Buffer.of(23, 3, 3, bytes >> 8, bytes & 0xff), Buffer.alloc(bytes, 0x5a)]));
  }

  #sealed13(type: number, content: Buffer, padding: number): Buffer {
    const inner = Buffer.concat([content, Buffer.of(type), Buffer.alloc(padding)]);
    const length = inner.length + TAG_BYTES;
    const head = Buffer.of(23, 3, 3, length >> 8, length & 0xff);
    const nonce = Buffer.from(this.#iv);
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ this.#sent) >>> 0, 8);
    return Buffer.concat([head, ...sealed(this.#key, nonce, head, inner)]);
  }

  #sealed12(type: number, content: Buffer): Buffer {
    const explicit = Buffer.alloc(8);
    explicit.writeBigUInt64BE(BigInt(this.#sent));
    const length = explicit.length + content.length + TAG_BYTES;
    const about = Buffer.concat([explicit, Buffer.of(type, 3, 3, content.length >> 8, content.length & 0xff)]);
    return Buffer.concat([
      Buffer.of(type, 3, 3, length >> 8, length & 0xff),
      explicit,
      ...sealed(this.#key, Buffer.concat([this.#iv, explicit]), about, content),
    ]);
  }

  close(): void {
    this.#socket.destroy();
    this.below.destroy();
  }
}

/** A connection, with what went over it. */
class Wire {
  readonly socket: Socket;
  readonly stream: Duplex;
  up = Buffer.alloc(0);
  down = Buffer.alloc(0);
  ended = false;

  constructor(port: number) {
    const socket = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket = socket;
    this.stream = new Duplex({
      read: () => {},
      write: (data: Buffer, _, done) => {
        this.up = Buffer.concat([this.up, data]);
        socket.write(data, () => done());
      },
      final: (done) => void done(),
    });
    socket.on('data', (data: Buffer) => {
      this.down = Buffer.concat([this.down, data]);
      this.stream.push(data);
    });
    socket.on('end', () => {
      this.ended = true;
      this.stream.push(null);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.ended = true;
    });
  }
}

/** The whole records of a stream. */
function recordsIn(bytes: Buffer): { readonly type: number; readonly length: number }[] {
  const records: { type: number; length: number }[] = [];
  for (let at = 0; at + 5 <= bytes.length; ) {
    const [type, length] = [bytes[at]!, bytes.readUInt16BE(at + 3)];
    at += 5 + length;
    if (at <= bytes.length) records.push({ type, length });
  }
  return records;
}

function sealed(key: Buffer, nonce: Buffer, about: Buffer, content: Buffer): Buffer[] {
  const cipher = createCipheriv('aes-128-gcm', key, nonce).setAAD(about);
  return [cipher.update(content), cipher.final(), cipher.getAuthTag()];
}

/** HKDF-Expand-Label without a context, for one block of output. RFC 8446, section 7.1. */
function label(secret: Buffer, name: string, bytes: number): Buffer {
  const info = Buffer.concat([Buffer.of(0, bytes, 6 + name.length), Buffer.from(`tls13 ${name}`), Buffer.of(0, 1)]);
  return createHmac('sha256', secret).update(info).digest().subarray(0, bytes);
}

/** P_SHA256 of RFC 5246, section 5. */
function expand12(secret: Buffer, seed: Buffer, bytes: number): Buffer {
  const blocks: Buffer[] = [];
  let last = seed;
  for (let length = 0; length < bytes; length += 32) {
    last = createHmac('sha256', secret).update(last).digest();
    blocks.push(
      createHmac('sha256', secret)
        .update(Buffer.concat([last, seed]))
        .digest(),
    );
  }
  return Buffer.concat(blocks).subarray(0, bytes);
}
