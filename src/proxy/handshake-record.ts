/** What is written down of a handshake, and of a connection that never came to one. Cold: once for a connection that has a line. */
import {
  FAULT_HELLO_BELOW_VERSION,
  FAULT_HELLO_GONE,
  FAULT_HELLO_NO_SHARED_PROTOCOL,
  FAULT_HELLO_NO_SHARED_VERSION,
  FAULT_HELLO_NOT_POST_QUANTUM,
  FAULT_PROXY_HEADER_GONE,
  FAULT_TLS_NO_SHARED_GROUP,
  FAULT_TLS_NO_SHARED_SIGNATURE,
  FAULT_TLS_NO_SHARED_SUITE,
} from '../base/faults.ts';
import { type ClientHello, readClientHello } from '../hello/client-hello.ts';
import { ja3, ja4 } from '../hello/fingerprint.ts';
import { groupName, schemeName, suiteName, versionName } from '../hello/names.ts';
import { Agreement, negotiate } from '../hello/negotiate.ts';
import { isPostQuantum } from '../hello/policy.ts';
import { C_FAULTS } from '../plan/counters.ts';
import { keysAt, type NameOwner } from '../tls/certificate-table.ts';
import type { ClientConnection } from './client-connection.ts';
import type { Handshake } from './handshake.ts';
import type { Site } from './site.ts';

const agreement = new Agreement();

/** Counts a failure, and writes its line. `handshake`: null before the first byte of one. `alert` went to the client or came from it. */
export function recordFailure(
  client: ClientConnection,
  handshake: Handshake | null,
  fault: number,
  alert: number | null,
  alertFrom: 'client' | 'us',
): void {
  const { context } = client;
  const told = fault === FAULT_TLS_NO_SHARED_SUITE && handshake !== null ? suiteFault(client, handshake) : fault;
  context.counters[C_FAULTS - told]!++;
  // A connection that came and went without a byte (a health check, a port scan) is counted, and not worth a line.
  if ((fault === FAULT_HELLO_GONE || fault === FAULT_PROXY_HEADER_GONE) && client.peeked === 0) return;
  if (context.logs.handshakes.takesFailure(context.unixMs())) write(client, handshake, { fault: told, alert, alertFrom });
}

/** Engines find no suite, too, where it is a group that is missing. Told is what the client would have to offer. */
function suiteFault({ context }: ClientConnection, { hello: bytes, owner }: Handshake): number {
  const { hello } = context;
  if (bytes === null || owner === null || readClientHello(bytes, 0, bytes.length, hello) <= 0) return FAULT_TLS_NO_SHARED_SUITE;
  const fault = negotiate(hello, owner.policy, keysAt(owner, context.unixMs()), owner.engine, agreement);
  return fault === FAULT_TLS_NO_SHARED_GROUP ? fault : FAULT_TLS_NO_SHARED_SUITE;
}

/** Writes the line of one that succeeded. */
export function recordSuccess(client: ClientConnection, handshake: Handshake): void {
  write(client, handshake, SUCCESS);
}

interface Outcome {
  /** 0: none. */
  readonly fault: number;
  readonly alert: number | null;
  readonly alertFrom: 'client' | 'us';
}

const SUCCESS: Outcome = Object.freeze({ fault: 0, alert: null, alertFrom: 'us' });

function write(client: ClientConnection, handshake: Handshake | null, { fault, alert, alertFrom }: Outcome): void {
  const { context, site } = client;
  const bytes = handshake?.hello ?? null;
  const session = handshake?.session ?? null;
  const owner = handshake?.owner ?? null;
  const { hello } = context;
  const known = bytes !== null && readClientHello(bytes, 0, bytes.length, hello) > 0;
  // Before a suite is chosen a library answers for the version as it likes.
  const suite = session?.suite() ?? 0;
  const agreed = suite === 0 ? null : session;
  const group = agreed?.group() ?? 0;
  context.logs.handshakes.write(
    {
      fault,
      alert,
      alertFrom: alert === null ? null : alertFrom,
      client: client.address,
      listener: site.name,
      sni: client.sni,
      alpn: agreed?.protocol() || null,
      version: agreed === null ? null : versionName(agreed.version()),
      suite: agreed === null ? null : suiteName(suite),
      group: group === 0 ? null : groupName(group),
      resumed: agreed?.resumed() ?? false,
      ja4: known ? ja4(hello) : null,
      ja3: known ? ja3(hello) : null,
      offered: known && fault !== 0 ? offerOf(hello) : null,
      policy: fault === 0 ? null : (owner?.policy.name ?? null),
      allowed: owner === null ? null : allowedOf(fault, owner, site),
      library: session?.libraryError() ?? handshake?.libraryProblem ?? '',
      certificate: session?.peerChain()[0] ?? null,
      durationUs: Math.round((performance.now() - client.acceptedMs) * 1_000),
    },
    context.unixMs(),
  );
}

/** What a client offered, for programs. */
export function offerOf(hello: ClientHello): object {
  return { ...hello.describe(), ...(hello.alpnCount === 0 ? {} : { alpn: hello.alpnNames() }) };
}

/** What would have been taken, of that which the client had nothing of. */
function allowedOf(fault: number, { policy, rule }: NameOwner, site: Site): object | null {
  switch (fault) {
    case FAULT_HELLO_BELOW_VERSION:
    case FAULT_HELLO_NO_SHARED_VERSION:
      return { versions: policy.versions.filter((version) => version >= rule.minVersion).map(versionName) };
    case FAULT_TLS_NO_SHARED_SUITE:
      return { suites: policy.suites.map(suiteName) };
    case FAULT_HELLO_NOT_POST_QUANTUM:
      return { groups: policy.groups.filter(isPostQuantum).map(groupName) };
    case FAULT_TLS_NO_SHARED_GROUP:
      return { groups: policy.groups.map(groupName) };
    case FAULT_TLS_NO_SHARED_SIGNATURE:
      return { signatureSchemes: policy.signatureSchemes.map(schemeName) };
    case FAULT_HELLO_NO_SHARED_PROTOCOL:
      return { alpn: site.alpnBytes.map((name) => Buffer.from(name).latin1Slice()) };
    default:
      return null;
  }
}
