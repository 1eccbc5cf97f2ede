/** What a start would not believe of a target that is reached by TLS: one handshake by Node's own TLS, with the rules of its upstream. */
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type ConnectionOptions, checkServerIdentity, connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import { machineAuthorities } from '../config/authorities.ts';
import type { LoadedConfig } from '../config/load.ts';
import { policyOf } from '../hello/policies.ts';
import type { ServerTlsPlan, TargetAddress } from '../plan/plan.ts';

/** How long a handshake may take. Milliseconds. */
const HANDSHAKE_MS = 2_000;
/** Names of a certificate that are told. */
const NAMES_MAX = 4;

/** What every handshake with the targets of the upstream `index` begins with; null where its files are gone since they were checked. */
export function handshakeOptions({ config }: LoadedConfig, index: number, plan: ServerTlsPlan): ConnectionOptions | null {
  const { authorities, certificate, key = certificate } = config.upstreams[index]!.tls!;
  const policy = policyOf(plan.policy);
  const trusted = authorities ?? (plan.verifies ? [machineAuthorities()].flatMap((file) => file ?? []) : []);
  try {
    return {
      ca: trusted.map((file) => readFileSync(file)),
      allowPartialTrustChain: true,
      ...(certificate === undefined ? {} : { cert: readFileSync(certificate), key: readFileSync(key!) }),
      minVersion: policy.minVersion >= 0x0304 ? 'TLSv1.3' : 'TLSv1.2',
      maxVersion: policy.maxVersion >= 0x0304 ? 'TLSv1.3' : 'TLSv1.2',
      ...(plan.alpn.length === 0 ? {} : { ALPNProtocols: [...plan.alpn] }),
      rejectUnauthorized: false,
    };
  } catch {
    return null;
  }
}

/** A sentence about what is wrong with the target `label` at `address`, the `at`-th of its upstream; null: nothing. */
export async function tlsProblem(
  label: string,
  address: TargetAddress,
  local: string | null,
  at: number,
  plan: ServerTlsPlan,
  options: ConnectionOptions,
): Promise<string | null> {
  const { serverName, identity } = plan.peers[at]!;
  const where = address.family === 0 ? { path: address.path } : { host: address.ip, port: address.port };
  return await new Promise((done) => {
    const socket = connect({
      ...options,
      ...where,
      ...(local === null ? {} : { localAddress: local }),
      ...(serverName === null ? {} : { servername: serverName }),
      checkServerIdentity: (_host, certificate) => (identity === null ? undefined : checkServerIdentity(identity, certificate)),
    });
    const end = (problem: string | null): void => {
      clearTimeout(late);
      socket.destroy();
      done(problem);
    };
    const late = setTimeout(() => end(`there is no TLS with ${label} (no answer within ${HANDSHAKE_MS / 1_000} s)`), HANDSHAKE_MS);
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const code = error.code ?? error.message;
      end(code === 'ERR_SSL_WRONG_VERSION_NUMBER' ? `${label} answers, and not by TLS` : `there is no TLS with ${label} (${code})`);
    });
    socket.once('secureConnect', () => end(judged(socket, label, plan, identity)));
  });
}

/** Codes of authorizationError for a chain that leads to nobody who is trusted. */
const UNKNOWN_ISSUERS: readonly string[] = [
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
];

function judged(socket: TLSSocket, label: string, { verifies, pins }: ServerTlsPlan, identity: string | null): string | null {
  const leaf = socket.getPeerCertificate(true);
  if (verifies && !socket.authorized) {
    const code = String(socket.authorizationError);
    if (UNKNOWN_ISSUERS.includes(code))
      return `the certificate of ${label} is by ${issuerOf(leaf)}, and no way leads from there to its authorities`;
    if (code === 'CERT_HAS_EXPIRED') return `the certificate of ${label}, or one behind it, has expired: its own ends on ${endOf(leaf)}`;
    if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `the certificate of ${label} is for ${namesOf(leaf)}, and not for ${identity}`;
    return `the certificate of ${label} is not believed (${code})`;
  }
  if (pins.length === 0) return null;
  const keys = chainOf(leaf).map(({ raw }) => pinOf(raw));
  const counting = verifies ? keys : keys.slice(0, 1);
  return counting.some((key) => pins.includes(key)) ? null : `${label} has no key of its 'pins': its own is ${keys[0]}`;
}

function issuerOf({ issuer }: PeerCertificate): string {
  const { CN, O } = issuer as { CN?: string; O?: string };
  return `'${CN ?? O ?? ''}'`;
}

function endOf({ raw }: PeerCertificate): string {
  return new X509Certificate(raw).validToDate.toISOString().slice(0, 10);
}

function namesOf({ subjectaltname = '' }: PeerCertificate): string {
  const names = subjectaltname.split(', ').map((name) => name.replace(/^(?:DNS|IP Address):/, ''));
  return `${names.slice(0, NAMES_MAX).join(', ')}${names.length > NAMES_MAX ? ', ...' : ''}`;
}

/** From the leaf on; a root stands for its own issuer. */
function chainOf(leaf: PeerCertificate): readonly PeerCertificate[] {
  const chain: PeerCertificate[] = [];
  let next: PeerCertificate | undefined = leaf;
  while (next !== undefined && !chain.includes(next)) {
    chain.push(next);
    next = (next as { issuerCertificate?: PeerCertificate }).issuerCertificate;
  }
  return chain;
}

function pinOf(raw: Buffer): string {
  return createHash('sha256')
    .update(new X509Certificate(raw).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64');
}
