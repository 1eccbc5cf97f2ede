/**
 * A checked configuration becomes a plan: certificates read and checked, names looked up, slots given out, every
 * reference an index. Reads certificate and key files and asks the resolver; opens no socket, changes nothing.
 */
import { hash } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { EngineName } from '../base/engine-name.ts';
import { CERTIFICATES_MAX, LISTENERS_MAX, TARGETS_MAX } from '../base/limits.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { versionName } from '../hello/names.ts';
import { policyOf } from '../hello/policies.ts';
import { isPostQuantum, weaknessOf } from '../hello/policy.ts';
import { kindOfKey } from '../plan/certificate-choice.ts';
import type { ClientCertificatesPlan } from '../plan/client-certificates.ts';
import type { AccessLogPlan } from '../plan/log-plan.ts';
import {
  addressText,
  type CertificatePlan,
  type ListenerPlan,
  type Plan,
  type RatePlan,
  type ServerTlsPlan,
  type TargetPlan,
  type TlsPlan,
  type TlsRulePlan,
  type UpstreamPlan,
} from '../plan/plan.ts';
import { machineAuthorities, readMachineAuthorities } from './authorities.ts';
import { type CertificatePair, certificateDirectory } from './certificate-directory.ts';
import { type CertificateFile, CertificateFileError, readCertificateFile } from './certificate-file.ts';
import type { LoadedConfig } from './check.ts';
import { compileClients } from './compile-clients.ts';
import { compileAccessLog, compileErrorLog } from './compile-logs.ts';
import { compileListenerRules, type ListenerRules } from './compile-routes.ts';
import { compileServerTls } from './compile-server-tls.ts';
import { ConfigError, type Finding, inFileOrder, type SettingPath, settingText } from './findings.ts';
import { compilePolicy, lackAtBest } from './own-policy.ts';
import { inPlaces, UNPLACED } from './places.ts';
import { serverMaySpeakFirst } from './protocol-references.ts';
import { type Resolve, resolveHost } from './resolve-host.ts';
import type { Config } from './schema.ts';
import type { ServerTlsSettings } from './server-tls.ts';
import { chooseEngine, fastEngineProblem, opensslLibraryProblem } from './tls-engine.ts';
import { shown } from './wording.ts';

export type { Resolve } from './resolve-host.ts';

export interface CompileOptions {
  readonly planId: number;
  /** Default: the system's resolver, IPv4 first, 10 s at most. */
  readonly resolve?: Resolve;
  /** The plan running now: targets and routes that stay keep their slot. */
  readonly previous?: Plan;
  /** Whether `:443` and `localhost:443` mean IPv6 as well. Default: when the machine has any IPv6 address. */
  readonly ipv6?: boolean;
  /** Default: now. */
  readonly nowMs?: number;
  /**
   * A name without an address: `needed` (default) it is an error; `wanted`: a warning; `unasked`: no name is looked up. A plan of the latter
   * two may have targets without addresses, and is not to be run.
   */
  readonly names?: 'needed' | 'wanted' | 'unasked';
  /** The file with the authorities that this machine trusts; null: it has none. Default: where distributions keep it. */
  readonly machineAuthorities?: () => string | null;
  /** Why the fast TLS engine cannot be had, or null. Default: what its file tells. */
  readonly fastEngineProblem?: () => string | null;
}

export interface Compiled {
  readonly plan: Plan;
  /** Chains, keys, authorities and lists of networks, as bytes; the caller zeroes those that a CertificatePlan's `keyBlob` names once they are sent. */
  readonly blobs: readonly Buffer[];
  readonly warnings: readonly Finding[];
  /** What is worth knowing to who checks a file, and of no interest each time it is loaded. */
  readonly notes: readonly Finding[];
}

/** Pairs of files read side by side. */
const FILES_AT_ONCE = 32;

/** ALPN names offered, in our order. curl --http1.0 offers the second alone. */
const ALPN: readonly string[] = ['http/1.1', 'http/1.0'];

/** Makes the plan of `loaded`. Throws ConfigError with every error at once; no key is left in memory then. */
export async function compile(loaded: LoadedConfig, options: CompileOptions): Promise<Compiled> {
  const compiler = new Compiler(loaded, options);
  return await compiler.run();
}

/** `plan` as number `id`, its targets and routes in the places that they have in `previous`: for a plan that was made before that was known. */
export function continued(plan: Plan, id: number, previous: Plan | null): Plan {
  return deepFreeze({ ...inPlaces(plan, previous), id });
}

class Compiler {
  readonly #loaded: LoadedConfig;
  readonly #config: Config;
  readonly #options: CompileOptions;
  readonly #errors: Finding[] = [];
  readonly #warnings: Finding[] = [];
  readonly #notes: Finding[] = [];
  readonly #certificates: CertificatePlan[] = [];
  /** Indices of certificates, by the fingerprint of their chain. */
  readonly #byChain = new Map<string, number>();
  /** Indices of blobs with authorities, by what they hold: many upstreams have those of the machine. */
  readonly #byAuthorities = new Map<string, number>();
  #machineAuthorities: Promise<Buffer | null> | null = null;
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
    const listed = await this.#readCertificates();
    const upstreams = await this.#upstreams();
    const listeners = await this.#listeners(listed);
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
        memoryBytesMax: limits.memory,
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
    return {
      plan: deepFreeze(inPlaces(plan, this.#options.previous ?? null)),
      blobs: this.#blobs,
      warnings: inFileOrder(this.#warnings),
      notes: inFileOrder(this.#notes),
    };
  }

  /**
   * Reads every pair of files once, however many listeners name it. Answers for each listener what it names.
   */
  async #readCertificates(): Promise<readonly (readonly Mention[])[]> {
    const nowMs = this.#options.nowMs ?? Date.now();
    const byFiles = new Map<string, Listed>();
    const lists: Mention[][] = [];
    for (const [listenerIndex, { tls }] of this.#config.listeners.entries()) {
      const mentions: Mention[] = [];
      for (const [index, entry] of (tls?.certificates ?? []).entries()) {
        const path = ['listeners', listenerIndex, 'tls', 'certificates', index];
        const inDirectory = entry.directory !== undefined;
        for (const pair of await this.#pairsOf(entry, path)) {
          const files = pairKey(pair.certificate, pair.key);
          const listed = byFiles.get(files) ?? { ...pair, path, inDirectory, index: undefined };
          byFiles.set(files, listed);
          mentions.push({ listed, path, inDirectory });
        }
      }
      lists.push(mentions);
    }
    const all = [...byFiles.values()];
    if (all.length > CERTIFICATES_MAX) this.#error(['listeners'], `${all.length} certificates; ${CERTIFICATES_MAX} at most`);
    for (let at = 0; at < all.length && all.length <= CERTIFICATES_MAX; at += FILES_AT_ONCE) {
      const some = all.slice(at, at + FILES_AT_ONCE);
      const files = await Promise.all(some.map((one) => this.#readPair(one, nowMs)));
      files.forEach((file, i) => {
        if (file !== undefined) some[i]!.index = this.#add(file, some[i]!.certificate);
      });
    }
    return lists;
  }

  async #pairsOf(entry: TlsConfig['certificates'][number], path: SettingPath): Promise<readonly CertificatePair[]> {
    const { certificate, key, directory } = entry;
    if (certificate !== undefined) return [{ certificate, key: key ?? certificate }];
    try {
      return await certificateDirectory(directory!);
    } catch (error) {
      if (!(error instanceof TollgateError)) throw error;
      this.#error([...path, 'directory'], error.message);
      return [];
    }
  }

  async #readPair({ certificate, key, path, inDirectory }: Listed, nowMs: number): Promise<CertificateFile | undefined> {
    const at = (setting: string): SettingPath => [...path, inDirectory ? 'directory' : setting];
    try {
      const file = await readCertificateFile(certificate, key, nowMs);
      for (const warning of file.warnings) this.#warn(at(warning.setting), warning.message);
      for (const note of file.notes) this.#note(at(note.setting), note.message);
      return file;
    } catch (error) {
      if (!(error instanceof CertificateFileError)) throw error;
      for (const problem of error.problems) this.#error(at(problem.setting), problem.message);
      return undefined;
    }
  }

  #add(file: CertificateFile, source: string): number {
    const { chain, key, warnings: _warnings, notes: _notes, ...rest } = file;
    const chainFingerprint = hash('sha256', chain);
    const same = this.#byChain.get(chainFingerprint);
    if (same !== undefined) {
      key.fill(0);
      return same;
    }
    const chainBlob = this.#blobs.push(chain) - 1;
    const keyBlob = this.#blobs.push(key) - 1;
    const index = this.#certificates.push({ ...rest, chainFingerprint, source, chainBlob, keyBlob }) - 1;
    this.#byChain.set(chainFingerprint, index);
    return index;
  }

  async #listeners(mentions: readonly (readonly Mention[])[]): Promise<ListenerPlan[]> {
    const ipv6 = this.#options.ipv6 ?? machineHasIpv6();
    const upstreamIndex = new Map(this.#config.upstreams.map(({ name }, index) => [name, index]));
    const plans: ListenerPlan[] = [];
    for (const [index, listener] of this.#config.listeners.entries()) {
      const rules = await compileListenerRules(this.#loaded, index, upstreamIndex, {
        error: (path, message) => this.#error(path, message),
        warn: (path, message) => this.#warn(path, message),
        addBlob: (bytes) => this.#blobs.push(bytes) - 1,
      });
      const tls = listener.tls;
      const clients = await this.#clients(index);
      const certificates = new Set<number>();
      let complete = mentions[index]!.length > 0;
      const shadow = new CertificateShadow();
      for (const { listed, path, inDirectory } of mentions[index]!) {
        const { index: found, certificate } = listed;
        if (found === undefined) complete = false;
        else if (certificates.has(found))
          this.#warn(path, `the same certificate${inDirectory ? ` as in ${certificate}` : ''} stands in this list already`);
        else {
          const taken = shadow.add(this.#certificates[found]!);
          if (taken !== undefined) this.#warn(path, taken);
          certificates.add(found);
        }
      }
      const isTcp = listener.protocol === 'tcp';
      if (tls !== undefined && complete) this.#uncovered(index, rules, [...certificates]);
      const alpn = isTcp ? (tls?.alpn ?? []) : ALPN;
      const tlsPlan = tls === undefined ? null : this.#tls(tls, ['listeners', index, 'tls'], [...certificates], complete, clients, alpn);
      const { backlog, fastOpen, deferAccept, userTimeout, keepAlive } = listener.socket;
      const { addresses, ipv6Optional } = listener.address;
      for (const address of addresses) {
        if (address.family === 6 && ipv6Optional && !ipv6) continue;
        plans.push({
          name: listener.name,
          address,
          tls: tlsPlan,
          ...rules,
          // Where the server may speak first, nobody waits for the client.
          socket: {
            backlog,
            fastOpen,
            deferAccept: deferAccept && !(isTcp && serverMaySpeakFirst(listener)),
            userTimeoutMs: userTimeout,
            keepAliveS: keepAlive,
          },
        });
      }
    }
    if (plans.length > LISTENERS_MAX) this.#error(['listeners'], `${plans.length} sockets to listen on; ${LISTENERS_MAX} at most`);
    return plans;
  }

  #tls(
    tls: TlsConfig,
    path: SettingPath,
    certificates: readonly number[],
    complete: boolean,
    clients: readonly (ClientCertificatesPlan | null)[],
    alpn: readonly string[],
  ): TlsPlan {
    const { engine, reason, problem } = chooseEngine(tls, this.#fastProblem);
    if (problem !== null) this.#error([...path, 'engine'], problem);
    const own = { names: [], ...this.#rule(tls, path), clients: clients[0] ?? null };
    const byName = tls.names.map((each, at) => {
      // A floor stands with its policy: a name that has its own policy has none of the listener's.
      const floor = each.policy === undefined ? tls : each;
      const rule = {
        policy: each.policy ?? tls.policy,
        minimumVersion: each.minimumVersion ?? floor.minimumVersion,
        requirePostQuantum: each.requirePostQuantum ?? floor.requirePostQuantum,
        report: each.report ?? tls.report,
        tickets: each.tickets ?? tls.tickets,
        ticketLifetime: each.ticketLifetime ?? tls.ticketLifetime,
      };
      const names = each.match.map(({ host }) => host);
      return { names, ...this.#rule(rule, [...path, 'names', at]), clients: clients[at + 1] ?? null };
    });
    if (complete) this.#unservable([own, ...byName], path, certificates, engine);
    const { strict, compressCertificates } = tls;
    return { engine, engineReason: reason, certificates, strict, alpn, compressCertificates, rules: [own, ...byName] };
  }

  /** Versions that a policy has, and that no client could come in by: no certificate of the listener is for its suites and schemes. */
  #unservable(
    rules: readonly Omit<TlsRulePlan, 'clients'>[],
    path: SettingPath,
    certificates: readonly number[],
    engine: EngineName,
  ): void {
    const keys = [...new Set(certificates.map((index) => this.#certificates[index]!.keyType))];
    const told = new Set<string>();
    for (const [at, { policy: compiled, minVersion }] of rules.entries()) {
      const policy = policyOf(compiled);
      const id = `${JSON.stringify(compiled)} ${minVersion}`;
      if (told.has(id)) continue;
      told.add(id);
      const lacks = new Map<string, string[]>();
      for (const version of policy.versions.filter((each) => each >= minVersion)) {
        const lack = lackAtBest(policy, version, keys, engine);
        if (lack !== null) lacks.set(lack, [...(lacks.get(lack) ?? []), versionName(version)]);
      }
      for (const [lack, versions] of lacks) {
        const sentence = `${policy.name} has no ${lack} for ${versions.join(', ')} and a certificate with a key of ${keys.join(' or ')}`;
        this.#warn([...path, ...(at === 0 ? [] : ['names', at - 1]), 'policy'], `${sentence}: no client comes in by it`);
      }
    }
  }

  /** A policy, its floor, and the one that only reports. Settings that leave nobody are errors. */
  #rule(rule: RuleConfig, path: SettingPath): Omit<TlsRulePlan, 'names' | 'clients'> {
    const error = (at: SettingPath, message: string): void => this.#error(at, message);
    const compiled = compilePolicy(rule.policy, [...path, 'policy'], error);
    const report = rule.report === undefined ? null : compilePolicy(rule.report, [...path, 'report'], error);
    // Lists that do not go together have been told of: the rest is read under the default.
    const policy = policyOf(compiled ?? 'intermediate');
    const { minimumVersion = 0, requirePostQuantum = policy.requirePostQuantum, tickets } = rule;
    if (minimumVersion > policy.maxVersion) {
      const end = versionName(policy.maxVersion);
      this.#error([...path, 'minimumVersion'], `the policy ${policy.name} ends at ${end}: no client could come in`);
    }
    if (requirePostQuantum && !policy.groups.some(isPostQuantum)) {
      this.#error([...path, 'requirePostQuantum'], `the policy ${policy.name} has no group with ML-KEM: no client could come in`);
    }
    const weak = weaknessOf(policy);
    if (weak !== null) this.#warn([...path, 'policy'], `${policy.name} allows ${weak}; it is for clients that have nothing better`);
    const minVersion = Math.max(policy.minVersion, minimumVersion);
    const ticketLifetimeS = rule.ticketLifetime / 1_000;
    return { policy: compiled ?? policy.name, minVersion, requirePostQuantum, report, tickets, ticketLifetimeS };
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

  /** What a listener asks of its clients, and what each of its names with settings of its own does. */
  async #clients(listener: number): Promise<readonly (ClientCertificatesPlan | null)[]> {
    const tls = this.#config.listeners[listener]?.tls;
    const path = ['listeners', listener, 'tls'];
    const compiled: (ClientCertificatesPlan | null)[] = [];
    for (const [at, each] of [tls, ...(tls?.names ?? [])].entries()) {
      const here = at === 0 ? path : [...path, 'names', at - 1];
      const settings = each?.clientCertificates;
      compiled.push(
        settings === undefined && at > 0
          ? compiled[0]!
          : await compileClients(
              settings,
              [...here, 'clientCertificates'],
              this.#options.nowMs ?? Date.now(),
              (pem) => this.#blobs.push(pem) - 1,
              { error: (place, message) => this.#error(place, message), warn: (place, message) => this.#warn(place, message) },
            ),
      );
    }
    return compiled;
  }

  /** Hosts of routes, and names with settings of their own, that no certificate of the listener is for: browsers would refuse them. */
  #uncovered(listener: number, { routes, tcpRoutes }: ListenerRules, certificates: readonly number[]): void {
    const names = new Set(certificates.flatMap((index) => this.#certificates[index]!.names));
    const told = new Set<string>();
    const look = (host: string, path: SettingPath): void => {
      if (told.has(host) || /^[[\d.:\]]+$/.test(host)) return;
      told.add(host);
      const parent = host.indexOf('.');
      if (names.has(host) || (!host.startsWith('*.') && parent > 0 && names.has(`*${host.slice(parent)}`))) return;
      this.#warn(path, `no certificate of this listener is for ${host}; clients will refuse the connection`);
    };
    for (const [at, { match }] of routes.entries()) {
      if (match.host !== null) look(match.host, ['listeners', listener, 'routes', at, 'match', 'host']);
    }
    for (const [at, { match }] of (tcpRoutes ?? []).entries()) {
      if (match.sni !== null) look(match.sni, ['listeners', listener, 'routes', at, 'match', 'sni']);
    }
    for (const [at, { match }] of (this.#config.listeners[listener]!.tls?.names ?? []).entries()) {
      for (const { host } of match) look(host, ['listeners', listener, 'tls', 'names', at, 'match']);
    }
  }

  async #upstreams(): Promise<UpstreamPlan[]> {
    const { upstreams } = this.#config;
    const total = upstreams.reduce((sum, { targets }) => sum + targets.length, 0);
    if (total > TARGETS_MAX) {
      this.#error(['upstreams'], `${total} targets in all; ${TARGETS_MAX} at most`);
      return [];
    }
    const addresses = await Promise.all(
      upstreams.map(async ({ targets }, index) => await Promise.all(targets.map((_, at) => this.#target(index, at)))),
    );
    const plans: UpstreamPlan[] = [];
    // One after the other: what they give out places for stands in the order of the file.
    for (const [index, { name, balance, idleConnections, timeouts, sourceAddress, proxyProtocol, tls }] of upstreams.entries()) {
      plans.push({
        name,
        balance,
        targets: addresses[index]!,
        idleMax: idleConnections,
        idleMs: timeouts.idle,
        connectMs: timeouts.connect,
        responseHeadMs: timeouts.responseHead,
        bodyMs: timeouts.body,
        proxyProtocol: proxyProtocol === undefined ? null : proxyProtocol === 'v1' ? 1 : 2,
        source4: sourceAddress.find(isIPv4) ?? null,
        source6: sourceAddress.find(isIPv6) ?? null,
        tls: tls === undefined || tls === null ? null : await this.#serverTls(index, tls),
      });
    }
    return plans;
  }

  async #serverTls(index: number, settings: ServerTlsSettings): Promise<ServerTlsPlan | null> {
    const { targets, timeouts } = this.#config.upstreams[index]!;
    const specs = targets.map(({ address }) => address);
    return await compileServerTls(settings, specs, timeouts.handshake, ['upstreams', index, 'tls'], {
      nowMs: this.#options.nowMs ?? Date.now(),
      machineAuthorities: () => this.#readMachineAuthorities(),
      addBlob: (pem) => this.#addAuthorities(pem),
      addCertificate: (file, source) => this.#add(file, source),
      findings: {
        error: (path, message) => this.#error(path, message),
        warn: (path, message) => this.#warn(path, message),
      },
    });
  }

  /** Read once, however many upstreams go by them. */
  async #readMachineAuthorities(): Promise<Buffer | null> {
    const file = (this.#options.machineAuthorities ?? machineAuthorities)();
    this.#machineAuthorities ??= file === null ? Promise.resolve(null) : readMachineAuthorities(file);
    return await this.#machineAuthorities;
  }

  #addAuthorities(pem: Buffer): number {
    const id = hash('sha256', pem);
    const index = this.#byAuthorities.get(id) ?? this.#blobs.push(pem) - 1;
    this.#byAuthorities.set(id, index);
    return index;
  }

  async #target(upstream: number, at: number): Promise<TargetPlan> {
    const { address: spec, weight } = this.#config.upstreams[upstream]!.targets[at]!;
    const { text: label, address } = spec;
    if (!('host' in address)) return { label, addresses: [address], host: null, weight, slot: UNPLACED };
    const { host, port } = address;
    try {
      const found = this.#options.names === 'unasked' ? [] : await (this.#options.resolve ?? resolveHost)(host);
      const addresses = found.map(({ address: ip, family }) => ({ family, ip, port }));
      return { label, addresses, host: { name: host, port }, weight, slot: UNPLACED };
    } catch (error) {
      this.#unresolved(
        ['upstreams', upstream, 'targets', at, 'address'],
        `the name ${shown(host)} has no address (${whyUnresolved(error)})`,
      );
      return { label, addresses: [], host: { name: host, port }, weight, slot: UNPLACED };
    }
  }

  async #accessLog(): Promise<AccessLogPlan | null> {
    const { resolve = resolveHost, names } = this.#options;
    try {
      return await compileAccessLog(this.#config.log, names === 'unasked' ? null : resolve);
    } catch (error) {
      this.#unresolved(['log', 'access', 'syslog'], `the name of the receiver has no address (${whyUnresolved(error)})`);
      return null;
    }
  }

  #unresolved(path: SettingPath, message: string): void {
    if (this.#options.names === 'wanted') this.#warn(path, message);
    else this.#error(path, message);
  }

  #unused(): void {
    const used = new Set(
      this.#config.listeners.flatMap(({ routes, passthrough }) => [
        ...(routes ?? []).flatMap(({ to, forwardAuth }) => [to, forwardAuth?.to]),
        ...(passthrough ?? []).map(({ to }) => to),
      ]),
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

  #note(path: SettingPath, message: string): void {
    this.#notes.push({ ...this.#loaded.where(path), severity: 'note', setting: settingText(path), message });
  }
}

/** Where a listener names a pair of files, itself or by its directory. */
interface Mention {
  readonly listed: Listed;
  readonly path: SettingPath;
  readonly inDirectory: boolean;
}

/** A pair of files, and where it was named first. */
interface Listed extends CertificatePair {
  readonly path: SettingPath;
  readonly inDirectory: boolean;
  /** In the plan's certificates; undefined: it cannot be used. */
  index: number | undefined;
}

/** Two valid certificates of one kind for the same names leave the later without work. */
class CertificateShadow {
  readonly #taken = new Map<string, CertificatePlan>();

  /** Why `certificate` is never used, or undefined. */
  add(certificate: CertificatePlan): string | undefined {
    const { names } = certificate;
    const keyType = kindOfKey(certificate);
    const taken: string[] = [];
    for (const name of names) {
      const rival = this.#taken.get(`${keyType} ${name}`);
      // One that begins later, or lasts longer, has its time.
      if (rival !== undefined && rival.notBeforeMs <= certificate.notBeforeMs && rival.notAfterMs >= certificate.notAfterMs)
        taken.push(name);
      else this.#taken.set(`${keyType} ${name}`, rival ?? certificate);
    }
    if (names.length === 0 || taken.length < names.length) return undefined;
    return `never used: certificates before it have all its names (${taken.slice(0, 3).join(', ')}${taken.length > 3 ? ', ...' : ''})`;
  }
}

type TlsConfig = NonNullable<Config['listeners'][number]['tls']>;
/** What a listener has for all names, and some names for themselves. */
type RuleConfig = Pick<TlsConfig, 'policy' | 'minimumVersion' | 'requirePostQuantum' | 'report' | 'tickets' | 'ticketLifetime'>;

function ratePlan(rate: Config['clients']['requests']): RatePlan | null {
  if (rate === undefined) return null;
  return { perSecond: rate.rate, burst: rate.burst ?? Math.max(1, Math.ceil(2 * rate.rate)) };
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
