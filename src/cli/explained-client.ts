/** Whose hello `tollgate explain` looks at: a known client's, one out of a file, or one described by options. */

import { readBoundedFile } from '../base/bounded-file.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { didYouMean } from '../config/wording.ts';
import { ClientHello, readClientHello } from '../hello/client-hello.ts';
import { type HelloDescription, writeClientHello } from '../hello/hello-writer.ts';
import { KNOWN_CLIENTS } from '../hello/known-clients.ts';
import { GROUP_NAMES, SCHEME_NAMES } from '../hello/names.ts';
import { capturedHellos } from '../hello/pcap.ts';
import { isPostQuantum } from '../hello/policy.ts';
import { SUITE_NAMES } from '../hello/suite-names.ts';

export interface ClientOptions {
  readonly host?: string;
  readonly client?: string;
  readonly hello?: string;
  readonly versions?: string;
  readonly suites?: string;
  readonly groups?: string;
  readonly keyShares?: string;
  readonly schemes?: string;
  readonly alpn?: string;
}

export interface ExplainedClient {
  /** For people. */
  readonly about: string;
  /** Its hello, records and all. */
  readonly bytes: Buffer;
}

/** Largest file with a hello, or capture. Bytes. */
const FILE_BYTES_MAX = 67_108_864;
/** Hellos of one capture that are explained. */
const CAPTURED_MAX = 16;
/** Who is described when only its lists are given. */
const USUAL_CLIENT = 'openssl-3.5';

const VERSIONS: ReadonlyMap<string, number> = new Map([
  ['1.0', 0x0301],
  ['1.1', 0x0302],
  ['1.2', 0x0303],
  ['1.3', 0x0304],
]);
const GROUP_ALIASES: ReadonlyMap<string, number> = new Map([
  ['p-256', 0x0017],
  ['p-384', 0x0018],
  ['p-521', 0x0019],
]);

/** Throws one sentence for options that make no client, and for files that hold none. */
export async function explainedClients(options: ClientOptions): Promise<ExplainedClient[]> {
  const { hello } = options;
  if (hello !== undefined) {
    const others = (['client', 'versions', 'suites', 'groups', 'keyShares', 'schemes', 'alpn'] as const).filter(
      (key) => options[key] !== undefined,
    );
    if (others.length > 0) throw new TollgateError('usage', '--hello is a whole hello: options that describe a client do not go with it');
    return readHelloFile(hello, (await readBoundedFile(hello, FILE_BYTES_MAX)).bytes);
  }
  const { host } = options;
  if (host === undefined) throw new TollgateError('usage', 'name the --host that the client asks for');
  const { about, ...client } = describedClient(options);
  return [{ about, bytes: writeClientHello(client, { name: isName(host) ? host : null }) }];
}

/** An address is never sent as a server's name. RFC 6066, section 3. */
function isName(host: string): boolean {
  return !/^[\d.]+$|:/.test(host);
}

/** A known client, with the lists that are given in place of its own. */
function describedClient(options: ClientOptions): HelloDescription & { readonly about: string } {
  const { client = USUAL_CLIENT } = options;
  const known = KNOWN_CLIENTS.find(({ id }) => id === client);
  if (known === undefined) {
    const ids = KNOWN_CLIENTS.map(({ id }) => id);
    throw new TollgateError('usage', `there is no client '${client}'${didYouMean(client, ids)}; 'tollgate explain --clients' lists them`);
  }
  const { id, about, ...recorded } = known;
  const changed: { -readonly [Key in keyof HelloDescription]?: HelloDescription[Key] } = {};
  if (options.versions !== undefined) {
    const versions = numbers('versions', options.versions, VERSIONS).sort((a, b) => b - a);
    changed.legacyVersion = Math.min(versions[0]!, 0x0303);
    changed.versions = versions[0]! > 0x0303 ? versions : [];
    // What is for TLS 1.3 alone is not sent without it.
    if (versions[0]! <= 0x0303) changed.groups = known.groups.filter((group) => !isPostQuantum(group));
  }
  if (options.suites !== undefined) changed.suites = numbers('suites', options.suites, byName(SUITE_NAMES));
  if (options.groups !== undefined) {
    changed.groups = numbers('groups', options.groups, new Map([...byName(GROUP_NAMES), ...GROUP_ALIASES]));
    changed.keyShares = changed.groups.slice(0, 1);
  }
  if (options.keyShares !== undefined) {
    changed.keyShares = numbers('key-shares', options.keyShares, new Map([...byName(GROUP_NAMES), ...GROUP_ALIASES]));
  }
  if (options.schemes !== undefined) changed.signatureSchemes = numbers('schemes', options.schemes, byName(SCHEME_NAMES));
  if (options.alpn !== undefined) changed.alpn = options.alpn === '' ? [] : options.alpn.split(',').map((each) => each.trim());
  const keys = Object.keys(changed);
  if (keys.length === 0) return { ...recorded, about: `${about} (${id})` };
  return { ...recorded, ...changed, about: `a client as ${about}, but for its ${keys.join(', ')}` };
}

function byName(names: ReadonlyMap<number, string>): ReadonlyMap<string, number> {
  return new Map([...names].map(([number, name]) => [name.toLowerCase(), number]));
}

/** `x25519,0x001d`: names in any case, or numbers in hexadecimal. */
function numbers(option: string, text: string, known: ReadonlyMap<string, number>): number[] {
  return text.split(',').map((each) => {
    const word = each.trim().toLowerCase();
    if (/^0x[0-9a-f]{1,4}$/.test(word)) return Number.parseInt(word, 16);
    const number = known.get(word);
    if (number === undefined)
      throw new TollgateError('usage', `--${option}: '${each.trim()}' is not known${didYouMean(word, known.keys())}`);
    return number;
  });
}

/** A capture, or hexadecimal: records, or the message alone. */
function readHelloFile(path: string, file: Buffer): ExplainedClient[] {
  const captured = capturedHellos(file);
  if (captured !== null) {
    const scratch = new ClientHello();
    const whole = captured.filter(({ bytes }) => readClientHello(bytes, 0, bytes.length, scratch) > 0);
    if (whole.length === 0) throw new TollgateError('usage', `${path} is a capture without a whole ClientHello`);
    return whole.slice(0, CAPTURED_MAX).map(({ stream, bytes }) => ({ about: stream, bytes }));
  }
  const text = file.toString('latin1').replaceAll(/\s|0x|[:,]/g, '');
  if (text === '' || text.length % 2 !== 0 || !/^[0-9a-fA-F]+$/.test(text)) {
    throw new TollgateError('usage', `${path} is no hexadecimal text, and no capture (pcap, pcapng)`);
  }
  const bytes = Buffer.from(text, 'hex');
  // What is copied out of a packet viewer is the message, more often than not.
  const isMessage = bytes[0] === 1 && bytes.length > 4 && bytes.readUIntBE(1, 3) === bytes.length - 4;
  const head = Buffer.of(22, 3, 1, bytes.length >> 8, bytes.length & 0xff);
  return [{ about: path, bytes: isMessage ? Buffer.concat([head, bytes]) : bytes }];
}
