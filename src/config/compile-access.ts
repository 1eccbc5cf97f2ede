/** Who may come in, as a plan: networks written in the configuration, and those of files. */
import { hash } from 'node:crypto';
import { TollgateError } from '../base/tollgate-error.ts';
import { packNetworks } from '../plan/network-list.ts';
import { ACCESS_ALLOWED, ACCESS_DENIED, type AccessPlan } from '../plan/plan.ts';
import type { SettingPath } from './findings.ts';
import { readNetworkFile } from './networks.ts';
import type { Config } from './schema.ts';

/** Where what is wrong is told. */
export interface Report {
  error(path: SettingPath, message: string): void;
  warn(path: SettingPath, message: string): void;
}

/** Where it is told, and where bytes go that a plan has beside it: answers the index there. */
export interface AccessReport extends Report {
  addBlob(bytes: Buffer): number;
}

export async function accessOf(
  access: Config['listeners'][number]['access'],
  path: SettingPath,
  report: AccessReport,
): Promise<AccessPlan | null> {
  if (access === undefined) return null;
  let complete = true;
  const file = async (name: 'allowFile' | 'denyFile'): Promise<readonly string[]> => {
    const from = access[name];
    if (from === undefined) return [];
    try {
      return await readNetworkFile(from);
    } catch (error) {
      if (!(error instanceof TollgateError)) throw error;
      report.error([...path, name], error.message);
      complete = false;
      return [];
    }
  };
  const allow = [...access.allow, ...(await file('allowFile'))];
  const deny = [...access.deny, ...(await file('denyFile'))];
  if (complete && allow.length + deny.length === 0) report.warn(path, 'no network stands in it: everybody may come in');
  const networks = Buffer.from(
    packNetworks([
      ...allow.map((network) => ({ network, verdict: ACCESS_ALLOWED })),
      ...deny.map((network) => ({ network, verdict: ACCESS_DENIED })),
    ]),
  );
  return {
    networksBlob: report.addBlob(networks),
    fingerprint: hash('sha256', networks),
    openToOthers: deny.length > 0 || allow.length === 0,
  };
}
