/**
 * What comes before everything else from a proxy in front of us: its PROXY header, peeked until it is whole, consumed exactly. Then the client
 * is the one it speaks for: lists and limits of clients judge that one, logs name it, servers are told of it.
 */
import { FAULT_ACCESS_DENIED, FAULT_CLIENT_CONNECTIONS, FAULT_PROXY_HEADER_GONE, NEED_MORE } from '../base/faults.ts';
import { PROXY_HEADER_BYTES_MAX } from '../base/limits.ts';
import { NOBODY } from '../guard/client-table.ts';
import { peek, receive } from '../native/sockets.ts';
import { readProxyHeader } from '../net/proxy-protocol.ts';
import { C_PROXY_HEADERS } from '../plan/counters.ts';
import type { ClientConnection } from './client-connection.ts';
import { READ_AT } from './context.ts';

/** More than 0: the header is taken, and the client may come in. 0: there is more to come. Below 0: a fault; the connection is over. */
export function takeProxyHeader(client: ClientConnection): number {
  const { context, site } = client;
  const header = context.proxyHeader;
  const n = peek(client.fd, context.scratch, READ_AT, PROXY_HEADER_BYTES_MAX);
  if (n <= 0) return n < 0 ? FAULT_PROXY_HEADER_GONE : 0;
  client.peeked = n;
  const used = readProxyHeader(context.bytes, READ_AT, READ_AT + n, header);
  if (used === NEED_MORE) {
    // Behind a FIN the same bytes could be peeked for ever.
    if (client.hungUp) return FAULT_PROXY_HEADER_GONE;
    client.awaitBytes(header.neededBytes);
    return 0;
  }
  if (used < 0) return used;
  receive(client.fd, context.scratch, READ_AT, used);
  client.peeked = 0;
  client.awaitBytes(1);
  context.counters[C_PROXY_HEADERS]!++;
  // A proxy that speaks for itself asks whether we live: no client's limits are for it.
  let place = NOBODY;
  if (header.isRelayed) {
    client.address = header.clientAddress;
    client.port = header.clientPort;
    client.relayedTo = { address: header.serverAddress, port: header.serverPort };
    place = context.placeOf(site, client.address);
  }
  if (site.access !== null && !site.access.allows(client.address)) return FAULT_ACCESS_DENIED;
  if (!context.clients.open(place)) return FAULT_CLIENT_CONNECTIONS;
  client.place = place;
  return used;
}
