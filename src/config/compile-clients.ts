/** Client certificates of a listener, compiled: authorities and revocation lists read and checked, what tells the rules from every other. */
import { createHash } from 'node:crypto';
import { TollgateError } from '../base/tollgate-error.ts';
import { listFiles } from '../certs/list-files.ts';
import type { ClientCertificatesPlan } from '../plan/client-certificates.ts';
import type { Certificate } from '../x509/certificate.ts';
import { type AuthorityFindings, day, readAuthorities } from './authorities.ts';
import type { ClientCertificateSettings } from './client-certificates.ts';
import type { SettingPath } from './findings.ts';

/** Null: clients are not asked, or there are errors. `addBlob` takes the authorities' PEM and gives its index. */
export async function compileClients(
  settings: ClientCertificateSettings | undefined,
  path: SettingPath,
  nowMs: number,
  addBlob: (pem: Buffer) => number,
  findings: AuthorityFindings,
): Promise<ClientCertificatesPlan | null> {
  if (settings === undefined || settings.mode === 'off') return null;
  if (settings.authorities === undefined)
    findings.error([...path, 'authorities'], `missing; clients are of some authority: ${settings.mode} needs one`);
  const { pem, certificates, broken } = await readAuthorities(settings.authorities ?? [], [...path, 'authorities'], nowMs, findings);
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
      await checkList(place, certificates, [...path, 'revocation', 'crl', i], nowMs, findings);
    }
  }
  if (broken) return null;
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

async function checkList(
  file: string,
  authorities: readonly Certificate[],
  path: SettingPath,
  nowMs: number,
  findings: AuthorityFindings,
): Promise<void> {
  try {
    const { nextUpdateMs } = await listFiles.check(file, authorities);
    if (nextUpdateMs < nowMs)
      findings.warn(path, `the revocation list ${file} ended on ${day(nextUpdateMs)}: whom it does not name is not known`);
  } catch (error) {
    if (!(error instanceof TollgateError)) throw error;
    findings.error(path, error.message);
  }
}
