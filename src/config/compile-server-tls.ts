/** TLS towards the targets of an upstream, compiled: authorities read, our own certificate checked, who each target must be. */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { TollgateError } from '../base/tollgate-error.ts';
import { policyOf } from '../hello/policies.ts';
import { weaknessOf } from '../hello/policy.ts';
import type { ServerPeerPlan, ServerTlsPlan } from '../plan/plan.ts';
import type { TargetSpec } from './addresses.ts';
import { type AuthorityFindings, readAuthorities } from './authorities.ts';
import { type CertificateFile, CertificateFileError, readCertificateFile } from './certificate-file.ts';
import type { SettingPath } from './findings.ts';
import { compilePolicy } from './own-policy.ts';
import type { ServerTlsSettings } from './server-tls.ts';
import { shown } from './wording.ts';

export interface ServerTlsParts {
  readonly nowMs: number;
  /** PEM of the authorities that this machine trusts; null: it has none. Throws TollgateError. */
  readonly machineAuthorities: () => Promise<Buffer | null>;
  /** Takes PEM of authorities and gives its index among the blobs. */
  readonly addBlob: (pem: Buffer) => number;
  /** Takes a certificate of ours and gives its index among the plan's. */
  readonly addCertificate: (file: CertificateFile, source: string) => number;
  readonly findings: AuthorityFindings;
}

/** `path` is where `settings` stand. Null when there are errors. */
export async function compileServerTls(
  settings: ServerTlsSettings,
  targets: readonly TargetSpec[],
  handshakeMs: number,
  path: SettingPath,
  parts: ServerTlsParts,
): Promise<ServerTlsPlan | null> {
  const { findings } = parts;
  const { depth, pins, alpn = [], insecureSkipVerification, serverName } = settings;
  const verifies = !insecureSkipVerification;
  const compiled = compilePolicy(settings.policy, [...path, 'policy'], (at, message) => findings.error(at, message));
  // Lists that do not go together have been told of.
  const policy = policyOf(compiled ?? 'intermediate');
  const weak = weaknessOf(policy);
  if (weak !== null) findings.warn([...path, 'policy'], `${policy.name} allows ${weak}; it is for servers that have nothing better`);
  if (!verifies && pins.length === 0) {
    findings.warn(
      [...path, 'insecureSkipVerification'],
      "whoever answers is believed: a stranger on the way reads and changes everything; name its 'authorities', or 'pins'",
    );
  }
  const peers = targets.map((target): ServerPeerPlan | null => {
    const identity = serverName ?? nameOf(target);
    if (identity === null && verifies) {
      findings.error([...path, 'serverName'], `missing; ${shown(target.text)} has no name that a certificate could be for`);
      return null;
    }
    return { serverName: identity === null || isIP(identity) !== 0 ? null : identity, identity: verifies ? identity : null };
  });
  const pem = verifies ? await authorities(settings, path, parts) : Buffer.alloc(0);
  const own = await certificate(settings, path, parts);
  if (compiled === null || pem === null || own === undefined || peers.includes(null)) return null;
  const rules = JSON.stringify([compiled, verifies, depth, pins, alpn, own?.file.fingerprint ?? null]);
  return {
    id: createHash('sha256')
      .update(rules)
      .update(own?.file.chain ?? '')
      .update(pem)
      .digest('hex')
      .slice(0, 32),
    policy: compiled,
    verifies,
    authoritiesBlob: verifies ? parts.addBlob(pem) : null,
    depth,
    certificate: own === null ? null : parts.addCertificate(own.file, own.source),
    pins,
    alpn,
    handshakeMs,
    peers: peers as readonly ServerPeerPlan[],
  };
}

/** What a target is called by who connects to it; null: a socket has no such name. */
function nameOf({ address }: TargetSpec): string | null {
  if ('host' in address) return address.host;
  return address.family === 0 ? null : address.ip;
}

async function authorities(settings: ServerTlsSettings, path: SettingPath, parts: ServerTlsParts): Promise<Buffer | null> {
  const { findings, nowMs } = parts;
  if (settings.authorities !== undefined) {
    const { pem, broken } = await readAuthorities(settings.authorities, [...path, 'authorities'], nowMs, findings);
    return broken ? null : pem;
  }
  try {
    const pem = await parts.machineAuthorities();
    if (pem === null)
      findings.error([...path, 'authorities'], 'missing; this machine has no list of authorities (Debian: the package ca-certificates)');
    return pem;
  } catch (error) {
    if (!(error instanceof TollgateError)) throw error;
    findings.error([...path, 'authorities'], `missing; those of this machine cannot be used: ${error.message}`);
    return null;
  }
}

/** Null: none is shown; undefined: there are errors. */
async function certificate(
  { certificate: source, key = source }: ServerTlsSettings,
  path: SettingPath,
  { findings, nowMs }: ServerTlsParts,
): Promise<{ readonly file: CertificateFile; readonly source: string } | null | undefined> {
  if (source === undefined || key === undefined) return null;
  try {
    const file = await readCertificateFile(source, key, nowMs, 'client');
    for (const { setting, message } of file.warnings) findings.warn([...path, setting], message);
    return { file, source };
  } catch (error) {
    if (!(error instanceof CertificateFileError)) throw error;
    for (const { setting, message } of error.problems) findings.error([...path, setting], message);
    return undefined;
  }
}
