/**
 * The policy that only reports: what would become of a client under it is computed from its hello, counted, and logged when that is a
 * refusal. Nothing of it reaches the client.
 */
import { ja4 } from '../hello/fingerprint.ts';
import { Agreement, refusalUnder } from '../hello/negotiate.ts';
import type { Policy } from '../hello/policy.ts';
import { C_REPORT_REFUSED, C_REPORT_SERVED } from '../plan/counters.ts';
import { keysAt, type NameOwner } from '../tls/certificate-table.ts';
import type { ClientConnection } from './client-connection.ts';
import { offerOf } from './handshake-record.ts';

const agreement = new Agreement();

/** `client`'s hello is the one in its context, and `owner` is what serves it. */
export function reportPolicy(client: ClientConnection, owner: NameOwner, report: Policy, nowMs: number): void {
  const { context, site } = client;
  const { hello, counters } = context;
  // What only OpenSSL has would be served by it.
  const engine = report.s2n === null ? 'openssl' : owner.engine;
  const fault = refusalUnder(hello, report, keysAt(owner, nowMs), engine, agreement);
  if (fault === 0) {
    counters[C_REPORT_SERVED]!++;
    return;
  }
  counters[C_REPORT_REFUSED]!++;
  const { handshakes } = context.logs;
  if (!handshakes.takesReport(nowMs)) return;
  const who = { fault, client: client.address, listener: site.name, sni: client.sni, ja4: ja4(hello) };
  handshakes.writeReport({ ...who, policy: owner.policy.name, report: report.name, offered: offerOf(hello) }, nowMs);
}
