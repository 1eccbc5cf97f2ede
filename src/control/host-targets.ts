/** Who does not take connections, or has a TLS that is not to be believed: targets, and the collector of telemetry. Connects to all side by side. */
import { existsSync } from 'node:fs';
import { connect, type NetConnectOpts } from 'node:net';
import { dirname } from 'node:path';
import type { SettingPath } from '../config/findings.ts';
import type { LoadedConfig } from '../config/load.ts';
import { addressText, type Plan, type TargetAddress, type UpstreamPlan } from '../plan/plan.ts';
import { handshakeOptions, tlsProblem } from './host-tls.ts';

/** How long one address may take. Milliseconds. */
const CONNECT_MS = 2_000;
/** Connections at once. */
const AT_ONCE = 256;

export interface Unreachable {
  readonly path: SettingPath;
  readonly message: string;
}

/** A sentence for each target that none of its addresses answers for, or whose TLS a start would refuse, in the order of the configuration. */
export async function unreachable(loaded: LoadedConfig, plan: Plan): Promise<readonly Unreachable[]> {
  const { config } = loaded;
  const found: Unreachable[] = [];
  const asked = new Map<string, Promise<string | null>>();
  const turns = new Turns(AT_ONCE);
  const ask = (address: TargetAddress, local: string | null): Promise<string | null> => {
    const key = `${addressText(address)} ${local ?? ''}`;
    const known = asked.get(key);
    if (known !== undefined) return known;
    const asking = turns.take(() => obstacleTo(address, local));
    asked.set(key, asking);
    return asking;
  };
  const all = plan.upstreams.flatMap((upstream, index) => {
    const { tls } = upstream;
    const options = tls === null ? null : handshakeOptions(loaded, index, tls);
    return upstream.targets.map(async ({ label, addresses }, at) => {
      const path = ['upstreams', index, 'targets', at, 'address'];
      const problems = await Promise.all(addresses.map((address) => ask(address, localOf(upstream, address))));
      // Without its source address nothing can be said of it; that is told where the address is.
      const telling = problems.filter((problem, i) => problem !== 'EADDRNOTAVAIL' || localOf(upstream, addresses[i]!) === null);
      if (telling.length === 0) return;
      if (!telling.includes(null)) {
        const why = [...new Set(telling)].join(', ');
        found.push({ path, message: `nobody takes connections at ${label} (${why})` });
        return;
      }
      if (tls === null || options === null) return;
      const open = addresses[problems.indexOf(null)]!;
      const problem = await turns.take(() => tlsProblem(label, open, localOf(upstream, open), at, tls, options));
      if (problem !== null) found.push({ path, message: problem });
    });
  });
  await Promise.all(all);
  const endpoint = config.telemetry?.endpoint;
  if (endpoint !== undefined) {
    const port = Number(endpoint.port) || (endpoint.protocol === 'https:' ? 443 : 80);
    const problem = await connected({ host: endpoint.hostname.replace(/^\[|\]$/g, ''), port });
    if (problem !== null) {
      found.push({ path: ['telemetry', 'endpoint'], message: `the collector ${endpoint.host} takes no connections (${problem})` });
    }
  }
  return found;
}

function localOf({ source4, source6 }: UpstreamPlan, { family }: TargetAddress): string | null {
  return family === 4 ? source4 : family === 6 ? source6 : null;
}

async function obstacleTo(address: TargetAddress, local: string | null): Promise<string | null> {
  if (address.family === 0) {
    const why = await connected({ path: address.path });
    return why === null ? null : socketObstacle(why, address.path);
  }
  return await connected({ host: address.ip, port: address.port, ...(local === null ? {} : { localAddress: local }) });
}

/** What the system's code means where the address is a path. */
function socketObstacle(why: string, path: string): string {
  switch (why) {
    case 'ENOENT':
      return existsSync(dirname(path)) ? 'there is no such socket' : 'its directory is not there';
    case 'ECONNREFUSED':
      return 'nobody listens on it, or it is no socket';
    case 'EACCES':
      return 'this user may not connect to it';
    default:
      return why;
  }
}

/** Null when a connection was made, else why not. */
async function connected(to: NetConnectOpts): Promise<string | null> {
  return await new Promise((done) => {
    const socket = connect(to);
    const end = (why: string | null): void => {
      clearTimeout(late);
      socket.destroy();
      done(why);
    };
    const late = setTimeout(() => end(`no answer within ${CONNECT_MS / 1_000} s`), CONNECT_MS);
    socket.once('connect', () => end(null));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

/** So many at once; the others wait. */
class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(most: number) {
    this.#free = most;
  }

  async take<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((turn) => this.#waiting.push(turn));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
