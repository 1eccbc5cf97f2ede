/**
 * Writes a ClientHello out of a description: the bytes a client with those abilities would send. For commands and tests; key shares are
 * zeros unless keys are given, since a negotiation is decided by what is offered and not by what the keys are. Cold.
 */
import { assert } from '../base/assert.ts';
import { isGrease } from './names.ts';

export interface HelloDescription {
  /** The version field of the message: the highest a client speaks, 0x0303 at most. */
  readonly legacyVersion: number;
  /** What supported_versions lists; empty: there is no such extension. */
  readonly versions: readonly number[];
  readonly suites: readonly number[];
  /** Empty lists below: there is no such extension. */
  readonly groups: readonly number[];
  readonly keyShares: readonly number[];
  readonly signatureSchemes: readonly number[];
  readonly alpn: readonly string[];
  /** Types in the order sent, those of the lists above included. Default: the lists' own. */
  readonly extensions?: readonly number[];
}

/** What one hello has beside its client's abilities. */
export interface HelloParticulars {
  /** server_name; null: none. */
  readonly name: string | null;
  /** Bytes of the key for a group. */
  readonly keys?: ReadonlyMap<number, Uint8Array>;
  /** Instead of the description's: what a HelloRetryRequest asked for. */
  readonly keyShares?: readonly number[];
  /** Sent back as a HelloRetryRequest brought it. RFC 8446, section 4.2.2. */
  readonly cookie?: Uint8Array;
}

const RANDOM_BYTES = 32;
const SESSION_ID_BYTES = 32;
const TLS13 = 0x0304;

/** Bytes of a client's key share. RFC 8446, section 4.2.8; draft-ietf-tls-ecdhe-mlkem. */
const SHARE_BYTES: ReadonlyMap<number, number> = new Map([
  [0x0017, 65],
  [0x0018, 97],
  [0x0019, 133],
  [0x001d, 32],
  [0x001e, 56],
  [0x0100, 256],
  [0x0101, 384],
  [0x0200, 800],
  [0x0201, 1_184],
  [0x0202, 1_568],
  [0x11eb, 1_249],
  [0x11ec, 1_216],
  [0x11ed, 1_665],
  [0x6399, 1_216],
]);

/** Bodies that say nothing a negotiation depends on, but must have a form. What is not here is sent empty. */
const BODIES: ReadonlyMap<number, readonly number[]> = new Map([
  [5, [1, 0, 0, 0, 0]],
  [11, [1, 0]],
  [27, [2, 0, 2]],
  [28, [0x40, 0x01]],
  [34, [0, 2, 4, 3]],
  [45, [1, 1]],
  [0x4469, [0, 3, 2, 0x68, 0x32]],
  [0x44cd, [0, 3, 2, 0x68, 0x32]],
  [0xff01, [0]],
]);

/** One record with the whole hello. */
export function writeClientHello(client: HelloDescription, particulars: HelloParticulars): Buffer {
  const { name } = particulars;
  const shares = particulars.keyShares ?? client.keyShares;
  const speaks13 = client.versions.includes(TLS13);
  const bodies = new Map<number, Buffer>();
  if (name !== null) bodies.set(0, vector16(Buffer.concat([Buffer.of(0), vector16(Buffer.from(name, 'latin1'))])));
  if (client.groups.length > 0) bodies.set(10, vector16(numbers(client.groups)));
  if (client.signatureSchemes.length > 0) bodies.set(13, vector16(numbers(client.signatureSchemes)));
  // Recorded clients with a list of their own for certificates' signatures repeat this one.
  if (client.extensions?.includes(50) === true) bodies.set(50, vector16(numbers(client.signatureSchemes)));
  if (client.alpn.length > 0) bodies.set(16, vector16(Buffer.concat(client.alpn.map((each) => vector8(Buffer.from(each, 'latin1'))))));
  if (client.versions.length > 0) bodies.set(43, vector8(numbers(client.versions)));
  if (particulars.cookie !== undefined) bodies.set(44, vector16(particulars.cookie));
  if (speaks13) bodies.set(51, vector16(Buffer.concat(shares.map((group) => keyShare(group, particulars.keys)))));
  // A client without SNI keeps its other extensions in their order, and a list that is empty is an extension that is not there.
  const listed = [0, 10, 13, 16, 43, 44, 51];
  const order = [...new Set([...(client.extensions ?? []), ...bodies.keys()])].filter((type) => bodies.has(type) || !listed.includes(type));
  const extensions = order.map((type) => {
    const body = bodies.get(type) ?? Buffer.from(BODIES.get(type) ?? []);
    return Buffer.concat([numbers([type]), vector16(body)]);
  });
  const message = Buffer.concat([
    numbers([client.legacyVersion]),
    Buffer.alloc(RANDOM_BYTES, 0x20),
    vector8(Buffer.alloc(speaks13 ? SESSION_ID_BYTES : 0, 0x11)),
    vector16(numbers(client.suites)),
    Buffer.of(1, 0),
    ...(extensions.length === 0 ? [] : [vector16(Buffer.concat(extensions))]),
  ]);
  const handshake = Buffer.concat([Buffer.of(1, 0), vector16(message)]);
  return Buffer.concat([Buffer.of(22, 3, 1), vector16(handshake)]);
}

function keyShare(group: number, keys: ReadonlyMap<number, Uint8Array> | undefined): Buffer {
  const key = keys?.get(group) ?? Buffer.alloc(isGrease(group) ? 1 : (SHARE_BYTES.get(group) ?? 32));
  return Buffer.concat([numbers([group]), vector16(key)]);
}

function numbers(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(2 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt16BE(value, 2 * i);
  return bytes;
}

function vector16(body: Uint8Array): Buffer {
  assert(body.length <= 0xffff, 'a vector of a hello is shorter than 64 KiB');
  return Buffer.concat([numbers([body.length]), body]);
}

function vector8(body: Uint8Array): Buffer {
  assert(body.length <= 0xff, 'a short vector of a hello is shorter than 256 bytes');
  return Buffer.concat([Buffer.of(body.length), body]);
}
