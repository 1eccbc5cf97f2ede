/** What the parts of the nginx translator share. */
import { resolve } from 'node:path';
import { hostName, parseTargetAddress } from '../addresses.ts';
import { type DraftServerTls, type DraftTarget, type DraftTimeouts, type DraftUpstream, Upstreams } from './draft.ts';
import type { Scope } from './nginx-scope.ts';
import type { Directive } from './nginx-syntax.ts';
import { boundedDuration, nginxTime } from './nginx-values.ts';
import type { Notes, Origin } from './notes.ts';

/** One socket, as far as requests can tell. */
export interface ListenerContext {
  readonly tls: boolean;
  /** '' when it is a Unix socket. */
  readonly port: string;
}

/** One server block. */
export interface ServerContext {
  readonly at: Directive;
  readonly scope: Scope;
  /** The first of its names. */
  readonly serverName: string;
  readonly named: ReadonlyMap<string, Directive>;
}

const DAY_MS = 86_400_000;
const WEIGHT_MAX = 256;

/** Groups of servers by name, and the servers that proxy_pass names itself. */
export class NginxUpstreams {
  readonly drafts = new Upstreams();
  /** `part`: what it becomes, for notes about it. */
  readonly #blocks = new Map<string, { readonly at: Directive; readonly scope: Scope; readonly part: object }>();
  readonly #notes: Notes;

  constructor(notes: Notes) {
    this.#notes = notes;
  }

  define(at: Directive, scope: Scope): void {
    const name = (at.args[0] ?? '').toLowerCase();
    if (!this.#blocks.has(name)) this.#blocks.set(name, { at, scope, part: {} });
  }

  isDefined(name: string): boolean {
    return this.#blocks.has(name.toLowerCase());
  }

  /** Name of the upstream for what proxy_pass says between `http://` or `https://` and the path; null when it can be none, which is noted. */
  use(authority: string, at: Origin, timeouts: DraftTimeouts, tls?: DraftServerTls): string | null {
    const block = this.#blocks.get(authority.toLowerCase());
    if (block !== undefined) {
      const draft: { targets: DraftTarget[]; idleConnections?: number } = this.#servers(block.scope, block.part);
      if (draft.targets.length === 0) {
        this.#notes.add('untranslated', block.at, 'it has no server that could be taken over');
        return null;
      }
      const idle = nginxTime(block.scope.own('keepalive_timeout')?.args[0] ?? '');
      const all = { ...timeouts, ...(idle === undefined ? {} : { idle: boundedDuration(idle, 10, DAY_MS) }) };
      return this.drafts.use(authority.toLowerCase(), authority, all, tls, () => shortened(draft), block.part);
    }
    const address = serverAddress(authority, tls === undefined ? 80 : 443);
    if (address === null) {
      this.#notes.add('untranslated', at, 'what it names is no address that Tollgate can reach');
      return null;
    }
    return this.drafts.use(address, authority.replace(/^unix:.*\//, ''), timeouts, tls, () => ({ targets: [address] }));
  }

  #servers(scope: Scope, part: object): { targets: DraftTarget[]; idleConnections?: number } {
    const main: DraftTarget[] = [];
    const spare: DraftTarget[] = [];
    for (const server of scope.ownAll('server')) {
      const [text = '', ...options] = server.args;
      const address = serverAddress(text);
      if (address === null) {
        this.#notes.add('untranslated', server, 'what it names is no address that Tollgate can reach', null, part);
        continue;
      }
      const target: DraftTarget = { address };
      let isSpare = false;
      let isDown = false;
      for (const option of options) {
        const [key = '', value = ''] = option.split('=');
        if (key === 'weight') {
          const weight = Number(value);
          if (Number.isInteger(weight) && weight > 1) target.weight = Math.min(weight, WEIGHT_MAX);
          if (weight > WEIGHT_MAX)
            this.#notes.add('differs', server, `a weight is ${WEIGHT_MAX} at most`, 'write smaller weights in the same proportion', part);
        } else if (key === 'backup') isSpare = true;
        else if (key === 'down') isDown = true;
        else if (key === 'max_conns') this.#notes.add('untranslated', server, 'connections of a server are not counted', null, part);
        else if (!['resolve', 'fail_timeout', 'max_fails'].includes(key))
          this.#notes.add('untranslated', server, `${option} has no counterpart`, null, part);
      }
      if (isDown) this.#notes.add('untranslated', server, 'it is down, and so it was left out', null, part);
      else if (isSpare) spare.push(target);
      else main.push(target);
      if (isSpare) {
        this.#notes.add(
          'untranslated',
          server,
          'there are no servers for the time when all others are gone',
          'add it to the targets, or point to it then',
          part,
        );
      }
    }
    const idle = Number(scope.own('keepalive')?.args[0] ?? Number.NaN);
    const keepsIdle = Number.isInteger(idle) && idle >= 0 ? { idleConnections: Math.min(idle, 10_000) } : {};
    return { targets: main.length > 0 ? main : spare, ...keepsIdle };
  }
}

/** A target without more to say is its address. */
function shortened({ targets, ...rest }: { targets: DraftTarget[]; idleConnections?: number }): Omit<DraftUpstream, 'name' | 'timeouts'> {
  return { targets: targets.map((target) => (target.weight === undefined ? target.address : target)), ...rest };
}

/** As Tollgate writes it; null when it cannot. `port`: when none is said; of servers in a block that is 80, whoever leads there. */
function serverAddress(text: string, port = 80): string | null {
  const path = /^unix:(.+?):?$/.exec(text)?.[1];
  const withPort = path !== undefined ? `unix:${path}` : /^(?:\[[^\]]*\]|[^:[\]]+)$/.test(text) ? `${text}:${port}` : text;
  return typeof parseTargetAddress(withPort) === 'string' ? null : withPort;
}

/** A host as Tollgate has it in `host`, or null. */
export function sentHost(text: string): string | null {
  const [, name = '', port = ''] = /^([^:[\]]+|\[[^\]]+\])(:\d{1,5})?$/.exec(text) ?? [];
  if (name === '' || Number(port.slice(1) || 1) > 65_535) return null;
  return name.startsWith('[') || hostName(name) !== undefined ? text : null;
}

export interface NginxContext {
  readonly notes: Notes;
  readonly upstreams: NginxUpstreams;
  /** Where relative paths start. */
  readonly prefix: string;
}

/** Whether `text` is the name of a file as it stands: known beforehand, and one line. */
export function namesFile(text: string): boolean {
  return text !== '' && !/[$\r\n]/.test(text);
}

export function nginxPath(context: NginxContext, path: string): string {
  return resolve(context.prefix, path);
}
