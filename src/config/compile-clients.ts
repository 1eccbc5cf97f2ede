/** Client certificates of a listener, compiled: authorities and revocation lists read and checked, what tells the rules from every other. */
import { createHash, X509Certificate } from 'node:crypto';
import { readBoundedFile } from '../base/bounded-file.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { joinPem, type PemBlock, pemBlocks } from '../certs/pem.ts';
import { closeList, readRevocationList } from '../certs/revocation-list.ts';
import type { ClientCertificatesPlan } from '../plan/client-certificates.ts';
import { type Certificate, readCertificate } from '../x509/certificate.ts';
import type { ClientCertificateSettings } from './client-certificates.ts';
import type { SettingPath } from './findings.ts';

/** Largest file of authorities, and certificates over all files of a listener. */
const AUTHORITIES_BYTES_MAX = 4_194_304;
const AUTHORITIES_MAX = 4_096;

export interface ClientFindings {
  error(path: SettingPath, message: string): void;
  warn(path: SettingPath, message: string): void;
}

/** Null: clients are not asked, or there are errors. `addBlob` takes the authorities' PEM and gives its index. */
export async function compileClients(
  settings: ClientCertificateSettings | undefined,
  path: SettingPath,
  nowMs: number,
  addBlob: (pem: Buffer) => number,
  findings: ClientFindings,
): Promise<ClientCertificatesPlan | null> {
  if (settings === undefined || settings.mode === 'off') return null;
  const blocks: PemBlock[] = [];
  const authorities: Certificate[] = [];
  let broken = false;
  if (settings.authorities === undefined)
    findings.error([...path, 'authorities'], `missing; clients are of some authority: ${settings.mode} needs one`);
  for (const [i, file] of (settings.authorities ?? []).entries()) {
    try {
      const found = await readAuthorityFile(file);
      blocks.push(...found.blocks);
      authorities.push(...found.certificates);
      for (const { subject, notAfterMs } of found.certificates) {
        if (notAfterMs < nowMs)
          findings.warn([...path, 'authorities', i], `the authority ${subject} in ${file} expired on ${day(notAfterMs)}`);
      }
    } catch (error) {
      if (!(error instanceof TollgateError)) throw error;
      findings.error([...path, 'authorities', i], error.message);
      broken = true;
    }
  }
  if (authorities.length > AUTHORITIES_MAX)
    findings.error([...path, 'authorities'], `${authorities.length} authorities; ${AUTHORITIES_MAX} at most`);
  const { mode, depth, allow, revocation, forward } = settings;
  if (allow !== undefined && allow.subjects.length + allow.names.length + allow.spiffe.length === 0) {
    findings.error([...path, 'allow'], 'nobody is allowed: write subjects, names or spiffe, or leave it out');
  }
  if (revocation !== undefined) {
    if (revocation.crl.length === 0 && !revocation.fetch && !revocation.ocsp) {
      findings.error([...path, 'revocation'], 'nothing tells what is revoked: write crl, fetch: true or ocsp: true, or leave it out');
    }
    for (const [i, place] of revocation.crl.entries()) {
      if (broken || place.startsWith('http:')) continue;
      await checkList(place, authorities, [...path, 'revocation', 'crl', i], nowMs, findings);
    }
  }
  if (broken) return null;
  const pem = joinPem(blocks);
  const rules = JSON.stringify([mode, depth, allow, revocation, forward]);
  return {
    id: createHash('sha256').update(rules).update(pem).digest('hex').slice(0, 32),
    mode,
    authoritiesBlob: addBlob(pem),
    depth,
    allow: allow ?? null,
    revocation:
      revocation === undefined
        ? null
        : {
            lists: revocation.crl,
            fetch: revocation.fetch,
            ocsp: revocation.ocsp,
            whenUnknown: revocation.whenUnknown,
            refreshMs: revocation.refresh,
          },
    forward,
  };
}

async function readAuthorityFile(file: string): Promise<{ blocks: readonly PemBlock[]; certificates: readonly Certificate[] }> {
  const { bytes } = await readBoundedFile(file, AUTHORITIES_BYTES_MAX);
  const all = pemBlocks(bytes);
  if (all.includes(undefined)) throw new TollgateError('certificate_invalid', `${file} is cut short: a PEM block has no end`);
  const blocks = all.filter((block) => block !== undefined && /^(?:X509 |TRUSTED )?CERTIFICATE$/.test(block.label)) as PemBlock[];
  if (blocks.length === 0) throw new TollgateError('certificate_invalid', `${file} holds no PEM certificate`);
  const certificates = blocks.map((block, i) => {
    const certificate = parse(block);
    if (certificate === null) throw new TollgateError('certificate_invalid', `certificate ${i + 1} of ${file} cannot be read`);
    return certificate;
  });
  return { blocks, certificates };
}

function parse(block: PemBlock): Certificate | null {
  try {
    return readCertificate(new X509Certificate(block.bytes).raw);
  } catch {
    return null;
  }
}

async function checkList(
  file: string,
  authorities: readonly Certificate[],
  path: SettingPath,
  nowMs: number,
  findings: ClientFindings,
): Promise<void> {
  try {
    const list = await readRevocationList(file, authorities);
    closeList(list);
    const { nextUpdateMs } = list.facts;
    if (nextUpdateMs < nowMs)
      findings.warn(path, `the revocation list ${file} ended on ${day(nextUpdateMs)}: whom it does not name is not known`);
  } catch (error) {
    if (!(error instanceof TollgateError)) throw error;
    findings.error(path, error.message);
  }
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
