/**
 * A checked configuration becomes a plan: certificates read and checked, names looked up, slots given out, every
 * reference an index. Reads certificate and key files and asks the resolver; opens no socket, changes nothing.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { LISTENERS_MAX, TARGETS_MAX } from '../base/limits.ts';
import { POLICY_RULES } from '../hello/policy-rules.ts';
import type { ClientCertificatesPlan } from '../plan/client-certificates.ts';
import type { AccessLogPlan } from '../plan/log-plan.ts';
import {
  addressText,
  type CertificatePlan,
  type ListenerPlan,
  type Plan,
  type RatePlan,
  type RoutePlan,
  type TargetPlan,
  type TlsPlan,
  type UpstreamPlan,
} from '../plan/plan.ts';
import { type CertificateFile, CertificateFileError, readCertificateFile } from './certificate-file.ts';
import type { LoadedConfig } from './check.ts';
import { compileClients } from './compile-clients.ts';
import { compileAccessLog, compileErrorLog } from './compile-logs.ts';
import { compileListenerRules } from './compile-routes.ts';
import { ConfigError, type Finding, inFileOrder, type SettingPath, settingText } from './findings.ts';
import { type Resolve, resolveHost } from './resolve-host.ts';
import type { Config } from './schema.ts';
import { chooseEngine, fastEngineProblem, opensslLibraryProblem } from './tls-engine.ts';
import { shown } from './wording.ts';

export type { Resolve } from './resolve-host.ts';

export interface CompileOptions {
  readonly planId: number;
  /** Default: the system's resolver, IPv4 first, 10 s at most. */
  readonly resolve?: Resolve;
  /** The plan running now: targets that stay keep their slot. */
  readonly previous?: Plan;
  /** Whether `:443` and `localhost:443` mean IPv6 as well. Default: when the machine has any IPv6 address. */
  readonly ipv6?: boolean;
  /** Default: now. */
  readonly nowMs?: number;
  /** Why the fast TLS engine cannot be had, or null. Default: what its file tells. */
  readonly fastEngineProblem?: () => string | null;
}

export interface Compiled {
  readonly plan: Plan;
  /** Chains and keys, as bytes; the caller zeroes those that a CertificatePlan's `keyBlob` names once they are sent. */
  readonly blobs: readonly Buffer[];
  readonly warnings: readonly Finding[];
}

/** ALPN names offered, in our order. curl --http1.0 offers the second alone. */
const ALPN: readonly string[] = ['http/1.1', 'http/1.0'];

/** Makes the plan of `loaded`. Throws ConfigError with every error at once; no key is left in memory then. */
export async function compile(loaded: LoadedConfig, options: CompileOptions): Promise<Compiled> {
  const compiler = new Compiler(loaded, options);
  return await compiler.run();
}

/** `plan` as number `id`, its targets in the places that they have in `previous`: for a plan that was made before `previous` was known. */
export function continued(plan: Plan, id: number, previous: Plan): Plan {
  const slots = new Slots(previous);
  for (const { name, targets } of plan.upstreams) for (const { label } of targets) slots.keep(name, label);
  const upstreams = plan.upstreams.map((upstream) => ({
    ...upstream,
    targets: upstream.targets.map((target) => ({ ...target, slot: slots.take(upstream.name, target.label) })),
  }));
  return deepFreeze({ ...plan, id, upstreams });
}

class Compiler {
  readonly #loaded: LoadedConfig;
  readonly #config: Config;
  readonly #options: CompileOptions;
  readonly #errors: Finding[] = [];
  readonly #warnings: Finding[] = [];
  readonly #certificates: CertificatePlan[] = [];
  readonly #keyTypes: string[] = [];
  readonly #blobs: Buffer[] = [];
  readonly #fastProblem: string | null;

  constructor(loaded: LoadedConfig, options: CompileOptions) {
    this.#loaded = loaded;
    this.#config = loaded.config;
    this.#options = options;
    const usesTls = loaded.config.listeners.some(({ tls }) => tls !== undefined);
    this.#fastProblem = usesTls ? (options.fastEngineProblem ?? fastEngineProblem)() : null;
  }

  async run(): Promise<Compiled> {
    try {
      return await this.#compile();
    } catch (error) {
      for (const blob of this.#blobs) blob.fill(0);
      throw error;
    }
  }

  async #compile(): Promise<Compiled> {
    const { timeouts, limits, clients, log, telemetry } = this.#config;
    const byFiles = await this.#readCertificates();
    const upstreams = await this.#upstreams();
    const listeners = await this.#listeners(byFiles);
    const opensslLibrary = this.#opensslLibrary();
    this.#fallenBack(listeners);
    const accessLog = await this.#accessLog();
    this.#unused();
    this.#adminExposed();
    this.#telemetryInTheClear();
    if (this.#errors.length > 0) throw new ConfigError('config_invalid', this.#errors, this.#warnings);
    const plan: Plan = {
      id: this.#options.planId,
      listeners,
      upstreams,
      certificates: this.#certificates,
      opensslLibrary,
      fastEngineProblem: this.#fastProblem,
      timeouts: {
        handshakeMs: timeouts.handshake,
        requestHeadMs: timeouts.requestHead,
        bodyMs: timeouts.body,
        idleMs: timeouts.idle,
        tunnelMs: timeouts.tunnel,
        closeMs: timeouts.close,
        drainMs: timeouts.drain,
      },
      limits: {
        connectionsMax: limits.connections,
        requestsMax: limits.requestsPerConnection ?? null,
        minimumRate: limits.minimumRate,
        minimumRateAfterMs: limits.minimumRateAfter,
        headBytesMax: limits.head,
        fieldsMax: limits.fields,
        targetBytesMax: limits.target,
      },
      clients: {
        connections: clients.connections ?? null,
        handshakes: ratePlan(clients.handshakes),
        requests: ratePlan(clients.requests),
        ipv4Prefix: clients.ipv4Prefix,
        ipv6Prefix: clients.ipv6Prefix,
        exempt: clients.exempt,
      },
      accessLog,
      errorLog: compileErrorLog(log),
      tracing: telemetry?.traces === undefined ? null : { rate: telemetry.traces.sample, parentBased: telemetry.traces.parentBased },
    };
    return { plan: deepFreeze(plan), blobs: this.#blobs, warnings: inFileOrder(this.#warnings) };
  }

  /** Reads every pair of files once, however many listeners name it. Answers the certificate's index by both paths; without those that failed. */
  async #readCertificates(): Promise<ReadonlyMap<string, number>> {
    const nowMs = this.#options.nowMs ?? Date.now();
    const byFiles = new Map<string, number>();
    const tried = new Set<string>();
    for (const [listenerIndex, { tls }] of this.#config.listeners.entries()) {
      for (const [index, { certificate, key }] of (tls?.certificates ?? []).entries()) {
        const files = pairKey(certificate, key);
        if (tried.has(files)) continue;
        tried.add(files);
        const path = ['listeners', listenerIndex, 'tls', 'certificates', index];
        try {
          const file = await readCertificateFile(certificate, key, nowMs);
          for (const warning of file.warnings) this.#warn([...path, warning.setting], warning.message);
          byFiles.set(files, this.#add(file, certificate));
        } catch (error) {
          if (!(error instanceof CertificateFileError)) throw error;
          for (const problem of error.problems) this.#error([...path, problem.setting], problem.message);
        }
      }
    }
    return byFiles;
  }

  #add(file: CertificateFile, source: string): number {
    const same = this.#certificates.findIndex(
      ({ fingerprint, chainBlob }) => fingerprint === file.fingerprint && this.#blobs[chainBlob]!.equals(file.chain),
    );
    if (same >= 0) {
      file.key.fill(0);
      return same;
    }
    const { fingerprint, names, notBeforeMs, notAfterMs } = file;
    const chainBlob = this.#blobs.push(file.chain) - 1;
    const keyBlob = this.#blobs.push(file.key) - 1;
    this.#keyTypes.push(file.keyType);
    return this.#certificates.push({ fingerprint, names, notBeforeMs, notAfterMs, source, chainBlob, keyBlob }) - 1;
  }

  async #listeners(byFiles: ReadonlyMap<string, number>): Promise<ListenerPlan[]> {
    const ipv6 = this.#options.ipv6 ?? machineHasIpv6();
    const upstreamIndex = new Map(this.#config.upstreams.map(({ name }, index) => [name, index]));
    const plans: ListenerPlan[] = [];
    for (const [index, listener] of this.#config.listeners.entries()) {
      const rules = await compileListenerRules(this.#loaded, index, upstreamIndex, {
        error: (path, message) => this.#error(path, message),
        warn: (path, message) => this.#warn(path, message),
      });
      const tls = listener.tls;
      const clients = await this.#clients(index);
      const certificates: number[] = [];
      let complete = true;
      for (const [at, { certificate, key }] of (tls?.certificates ?? []).entries()) {
        const found = byFiles.get(pairKey(certificate, key));
        if (found === undefined) complete = false;
        else if (!this.#shadowedCertificate(certificates, found, ['listeners', index, 'tls', 'certificates', at])) certificates.push(found);
      }
      if (tls !== undefined && complete) this.#uncovered(index, rules.routes, certificates);
      const { backlog, fastOpen, deferAccept, userTimeout, keepAlive } = listener.socket;
      const { addresses, ipv6Optional } = listener.address;
      for (const address of addresses) {
        if (address.family === 6 && ipv6Optional && !ipv6) continue;
        plans.push({
          name: listener.name,
          address,
          tls: tls === undefined ? null : this.#tls(tls, index, certificates, clients),
          ...rules,
          socket: { backlog, fastOpen, deferAccept, userTimeoutMs: userTimeout, keepAliveS: keepAlive },
        });
      }
    }
    if (plans.length > LISTENERS_MAX) this.#error(['listeners'], `${plans.length} sockets to listen on; ${LISTENERS_MAX} at most`);
    return plans;
  }

  #tls(
    tls: NonNullable<Config['listeners'][number]['tls']>,
    listener: number,
    certificates: readonly number[],
    clients: ClientCertificatesPlan | null,
  ): TlsPlan {
    const { engine, reason, problem } = chooseEngine(tls, this.#fastProblem);
    if (problem !== null) this.#error(['listeners', listener, 'tls', 'engine'], problem);
    const { policy, tickets, compressCertificates } = tls;
    return {
      engine,
      engineReason: reason,
      policy,
      rules: POLICY_RULES[policy],
      certificates,
      tickets,
      alpn: ALPN,
      compressCertificates,
      clients,
    };
  }

  /** The one libssl that is named; null: node's own. */
  #opensslLibrary(): string | null {
    let library: string | null = null;
    for (const [index, { tls }] of this.#config.listeners.entries()) {
      if (tls?.library === undefined || tls.library === library) continue;
      const path = ['listeners', index, 'tls', 'library'];
      if (library !== null) this.#error(path, `another listener names ${shown(library)}: a process has one`);
      else {
        library = tls.library;
        const problem = opensslLibraryProblem(library);
        if (problem !== null) this.#error(path, `${library} cannot be used: ${problem}`);
      }
    }
    return library;
  }

  /** Told once, where it makes a difference. */
  #fallenBack(listeners: readonly ListenerPlan[]): void {
    if (this.#fastProblem === null || listeners.every(({ tls }) => tls === null || tls.engine === 's2n')) return;
    this.#warn(['listeners'], `the fast TLS engine cannot be had, openssl serves in its place: ${this.#fastProblem}`);
  }

  async #clients(listener: number): Promise<ClientCertificatesPlan | null> {
    const path = ['listeners', listener, 'tls', 'clientCertificates'];
    return await compileClients(
      this.#config.listeners[listener]?.tls?.clientCertificates,
      path,
      this.#options.nowMs ?? Date.now(),
      (pem) => this.#blobs.push(pem) - 1,
      { error: (at, message) => this.#error(at, message), warn: (at, message) => this.#warn(at, message) },
    );
  }

  /** Listing a certificate twice, or two of one kind for the same names, leaves the later without work. */
  #shadowedCertificate(certificates: readonly number[], candidate: number, path: SettingPath): boolean {
    if (certificates.includes(candidate)) {
      this.#warn(path, 'the same certificate stands in this list already');
      return true;
    }
    const { names } = this.#certificates[candidate]!;
    const rivals = certificates.filter((other) => this.#keyTypes[other] === this.#keyTypes[candidate]);
    const taken = names.filter((name) => rivals.some((other) => this.#certificates[other]!.names.includes(name)));
    if (names.length > 0 && taken.length === names.length) {
      this.#warn(
        path,
        `never used: certificates before it have all its names (${taken.slice(0, 3).join(', ')}${taken.length > 3 ? ', ...' : ''})`,
      );
    }
    return false;
  }

  /** Routes for hosts that no certificate of the listener names: browsers would refuse them. */
  #uncovered(listener: number, routes: readonly RoutePlan[], certificates: readonly number[]): void {
    const names = new Set(certificates.flatMap((index) => this.#certificates[index]!.names));
    const told = new Set<string>();
    for (const [at, { match }] of routes.entries()) {
      const { host } = match;
      if (host === null || told.has(host) || /^[[\d.:\]]+$/.test(host)) continue;
      told.add(host);
      const parent = host.indexOf('.');
      if (names.has(host) || (!host.startsWith('*.') && parent > 0 && names.has(`*${host.slice(parent)}`))) continue;
      this.#warn(
        ['listeners', listener, 'routes', at, 'match', 'host'],
        `no certificate of this listener is for ${host}; clients will refuse the connection`,
      );
    }
  }

  async #upstreams(): Promise<UpstreamPlan[]> {
    const { upstreams } = this.#config;
    const total = upstreams.reduce((sum, { targets }) => sum + targets.length, 0);
    if (total > TARGETS_MAX) {
      this.#error(['upstreams'], `${total} targets in all; ${TARGETS_MAX} at most`);
      return [];
    }
    const slots = new Slots(this.#options.previous);
    for (const { name, targets } of upstreams) for (const { address } of targets) slots.keep(name, address.text);
    return await Promise.all(
      upstreams.map(async ({ name, targets, balance, idleConnections, timeouts, sourceAddress }, index): Promise<UpstreamPlan> => {
        const given = targets.map(({ address }) => slots.take(name, address.text));
        return {
          name,
          balance,
          targets: (await Promise.all(targets.map((_, at) => this.#target(index, at, given[at]!)))).filter(
            (target) => target !== undefined,
          ),
          idleMax: idleConnections,
          idleMs: timeouts.idle,
          connectMs: timeouts.connect,
          responseHeadMs: timeouts.responseHead,
          bodyMs: timeouts.body,
          source4: sourceAddress.find(isIPv4) ?? null,
          source6: sourceAddress.find(isIPv6) ?? null,
        };
      }),
    );
  }

  async #target(upstream: number, at: number, slot: number): Promise<TargetPlan | undefined> {
    const { address: spec, weight } = this.#config.upstreams[upstream]!.targets[at]!;
    const { text: label, address } = spec;
    if (!('host' in address)) return { label, addresses: [address], host: null, weight, slot };
    const { host, port } = address;
    try {
      const found = await (this.#options.resolve ?? resolveHost)(host);
      const addresses = found.map(({ address: ip, family }) => ({ family, ip, port }));
      return { label, addresses, host: { name: host, port }, weight, slot };
    } catch (error) {
      this.#error(['upstreams', upstream, 'targets', at, 'address'], `the name ${shown(host)} has no address (${whyUnresolved(error)})`);
      return undefined;
    }
  }

  async #accessLog(): Promise<AccessLogPlan | null> {
    try {
      return await compileAccessLog(this.#config.log, this.#options.resolve ?? resolveHost);
    } catch (error) {
      this.#error(['log', 'access', 'syslog'], `the name of the receiver has no address (${whyUnresolved(error)})`);
      return null;
    }
  }

  #unused(): void {
    const used = new Set(
      this.#config.listeners.flatMap(({ routes }) => (routes ?? []).flatMap(({ to, forwardAuth }) => [to, forwardAuth?.to])),
    );
    for (const [index, { name }] of this.#config.upstreams.entries()) {
      if (!used.has(name)) this.#warn(['upstreams', index, 'name'], `no route leads to the upstream ${shown(name)}`);
    }
  }

  #adminExposed(): void {
    const { listen } = this.#config.admin;
    if (listen === null || listen.family === 0 || listen.ip === '::1' || listen.ip.startsWith('127.')) return;
    this.#warn(
      ['admin', 'listen'],
      `whoever reaches ${addressText(listen)} can read metrics and status: the admin interface asks for no password`,
    );
  }

  /** What the headers of a collector hold is a key, more often than not. */
  #telemetryInTheClear(): void {
    const { telemetry } = this.#config;
    if (telemetry === undefined || Object.keys(telemetry.headers).length === 0) return;
    const { protocol, hostname } = telemetry.endpoint;
    if (protocol === 'https:' || hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')) return;
    this.#warn(['telemetry', 'headers'], `they are sent to ${shown(hostname)} without TLS, for everybody on the way to read`);
  }

  #error(path: SettingPath, message: string): void {
    this.#errors.push({ ...this.#loaded.where(path), severity: 'error', setting: settingText(path), message });
  }

  #warn(path: SettingPath, message: string): void {
    this.#warnings.push({ ...this.#loaded.where(path), severity: 'warning', setting: settingText(path), message });
  }
}

function ratePlan(rate: Config['clients']['requests']): RatePlan | null {
  if (rate === undefined) return null;
  return { perSecond: rate.rate, burst: rate.burst ?? Math.max(1, Math.ceil(2 * rate.rate)) };
}

/** Rows of the shared table. A target of the plan before, known by upstream and label, keeps its row, and so its counts. */
class Slots {
  readonly #before = new Map<string, number[]>();
  readonly #kept = new Map<string, number[]>();
  readonly #used = new Set<number>();
  #next = 0;

  constructor(previous: Plan | undefined) {
    for (const { name, targets } of previous?.upstreams ?? []) {
      for (const { label, slot } of targets) {
        const key = pairKey(name, label);
        this.#before.set(key, [...(this.#before.get(key) ?? []), slot]);
      }
    }
  }

  keep(upstream: string, label: string): void {
    const key = pairKey(upstream, label);
    const slot = this.#before.get(key)?.shift();
    if (slot === undefined) return;
    this.#kept.set(key, [...(this.#kept.get(key) ?? []), slot]);
    this.#used.add(slot);
  }

  take(upstream: string, label: string): number {
    const kept = this.#kept.get(pairKey(upstream, label))?.shift();
    if (kept !== undefined) return kept;
    while (this.#used.has(this.#next)) this.#next++;
    return this.#next++;
  }
}

function pairKey(one: string, other: string): string {
  return `${one}\0${other}`;
}

function whyUnresolved(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message ?? String(error);
}

function machineHasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ family }) => family === 'IPv6'));
}

function deepFreeze<Value extends object>(value: Value): Value {
  for (const member of Object.values(value))
    if (typeof member === 'object' && member !== null && !Object.isFrozen(member)) deepFreeze(member);
  return Object.freeze(value);
}
