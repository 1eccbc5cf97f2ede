/** What is written down of a handshake that failed, and of a connection that never came to one. Cold: once for a connection. */
import { FAULT_HELLO_GONE, FAULT_PROXY_HEADER_GONE } from '../base/faults.ts';
import { readClientHello } from '../hello/client-hello.ts';
import { ja3, ja4 } from '../hello/fingerprint.ts';
import { C_FAULTS } from '../plan/counters.ts';
import type { ClientConnection } from './client-connection.ts';
import type { Handshake } from './handshake.ts';

/** `handshake`: null before the first byte of one. `alert` went to the client or came from it. */
export function recordFailure(
  client: ClientConnection,
  handshake: Handshake | null,
  fault: number,
  alert: number | null,
  alertFrom: 'client' | 'us',
): void {
  const { context } = client;
  context.counters[C_FAULTS - fault]!++;
  // A connection that came and went without a byte (a health check, a port scan) is counted, and not worth a line.
  if ((fault === FAULT_HELLO_GONE || fault === FAULT_PROXY_HEADER_GONE) && client.peeked === 0) return;
  const bytes = handshake?.hello ?? null;
  const session = handshake?.session ?? null;
  const { hello } = context;
  const known = bytes !== null && readClientHello(bytes, 0, bytes.length, hello) > 0;
  context.logs.handshakes.failed(
    {
      fault,
      client: client.address,
      listener: client.site.name,
      sni: client.sni,
      alpn: known ? hello.alpnNames() : [],
      alert,
      alertFrom: alert === null ? null : alertFrom,
      ja4: known ? ja4(hello) : null,
      ja3: known ? ja3(hello) : null,
      offered: known ? hello.describe() : null,
      library: session?.libraryError() ?? '',
      certificate: session?.peerChain()[0] ?? null,
      durationUs: Math.round((performance.now() - client.acceptedMs) * 1_000),
    },
    context.unixMs(),
  );
}
