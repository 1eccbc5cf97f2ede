/** The part of a plan about logs. Asks the resolver, when a syslog receiver was written by its name. */
import { hostname } from 'node:os';
import { type AccessLogPlan, type ErrorLogPlan, LOG_FIELDS_USUAL, type LogDestinationPlan } from '../plan/log-plan.ts';
import type { TargetAddress } from '../plan/plan.ts';
import { FACILITIES, SEVERITIES } from './logging.ts';
import type { Resolve } from './resolve-host.ts';
import type { Config } from './schema.ts';

/** Longest name of this machine in a syslog line. Bytes. */
const HOST_BYTES_MAX = 64;

/** Null: off. Throws what `resolve` throws; without it, a receiver that was written by its name is left out, and with it the log. */
export async function compileAccessLog({ access }: Config['log'], resolve: Resolve | null): Promise<AccessLogPlan | null> {
  if (access.path === 'off') return null;
  const { format } = access;
  if (resolve === null && access.syslog !== undefined && 'host' in access.syslog.to.address) return null;
  return {
    destination: await destination(access, resolve),
    format: format === 'json' ? { kind: 'json', fields: access.fields ?? LOG_FIELDS_USUAL } : { kind: format },
    sample: access.sample,
    sampleErrors: access.sampleErrors,
  };
}

async function destination({ path, syslog }: Config['log']['access'], resolve: Resolve | null): Promise<LogDestinationPlan> {
  if (syslog === undefined) return fileOrStandard(path ?? '-');
  const { address } = syslog.to;
  return {
    kind: 'syslog',
    address: 'host' in address ? await lookedUp(address.host, address.port, resolve!) : address,
    priority: 8 * FACILITIES.indexOf(syslog.facility) + SEVERITIES.indexOf(syslog.severity),
    host:
      hostname()
        .replace(/[^!-~]/g, '?')
        .slice(0, HOST_BYTES_MAX) || '-',
    name: syslog.name,
  };
}

async function lookedUp(host: string, port: number, resolve: Resolve): Promise<TargetAddress> {
  const [first] = await resolve(host);
  return { family: first!.family, ip: first!.address, port };
}

export function compileErrorLog({ level, error, handshakes }: Config['log']): ErrorLogPlan {
  return { destination: fileOrStandard(error.path), format: error.format ?? null, level, handshakeSuccesses: handshakes.successes };
}

function fileOrStandard(path: string): LogDestinationPlan {
  return path === '-' ? { kind: 'standard' } : { kind: 'file', path };
}
