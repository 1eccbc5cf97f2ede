/** What a connection to a target begins with, where its upstream wants to be told who the client is. Cold: once for a connection. */
import { localEndpoint } from '../native/sockets.ts';
import { writeProxyHeader } from '../net/proxy-protocol.ts';
import type { UpstreamPlan } from '../plan/plan.ts';
import { commonName } from '../x509/distinguished-name.ts';
import type { ClientConnection } from './client-connection.ts';

/**
 * The PROXY header for `upstream`, or null. `address` is whom the connection is for: the client, or whom a trusted proxy speaks for, whose
 * port nobody told. `id` is what our log calls it.
 */
export function openingFor(upstream: UpstreamPlan, client: ClientConnection, address: string, id: Uint8Array): Uint8Array | null {
  const version = upstream.proxyProtocol;
  if (version === null) return null;
  const server = client.relayedTo ?? localEndpoint(client.fd);
  // Who is in by a certificate has had it verified: nobody else comes here.
  const clientName = client.identity === null ? null : (commonName(client.identity.leaf.subjectDer) ?? '');
  const isVerified = clientName !== null;
  const tls = client.tlsVersion === '' ? null : { version: client.tlsVersion, cipher: client.cipher, clientName, isVerified };
  return writeProxyHeader(version, {
    clientAddress: address,
    clientPort: address === client.address ? client.port : 0,
    serverAddress: server.address,
    serverPort: server.port,
    tls,
    protocol: client.protocol,
    authority: client.sni,
    uniqueId: id,
  });
}
