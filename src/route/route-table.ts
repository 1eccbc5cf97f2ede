/**
 * Which route a request takes: the first in the configuration's order whose host and path match. Compiled once, then only read.
 *
 * Routes with a host are found through a table, so that a thousand sites cost as much as one. Paths are compared up to the query, as a server
 * would understand them (normal-path.ts): a route may carry a rule about who comes in, and `/%61dmin/` must not get past the one for
 * `/admin/`. What the server gets are the bytes as they came.
 */
import { TARGET_BYTES_MAX } from '../base/limits.ts';
import type { RouteMatch } from '../plan/plan.ts';
import { isNormalPath, writeNormalPath } from './normal-path.ts';

interface Entry {
  readonly index: number;
  readonly path: Uint8Array | null;
  readonly isPrefix: boolean;
}

export const NO_ROUTE = -1;

const QUESTION = 0x3f;
/** No byte. */
const NO_QUERY = -1;

export class RouteTable {
  /** By exact host, with the routes for any host merged in, in order. */
  readonly #exact = new Map<string, readonly Entry[]>();
  /** By what follows `*`: `.example.com`. */
  readonly #suffixes = new Map<string, readonly Entry[]>();
  readonly #any: readonly Entry[];
  readonly #hasPaths: boolean;
  readonly #normal: Buffer = Buffer.alloc(TARGET_BYTES_MAX);
  #lastHost = new Uint8Array(256);
  #lastLength = -1;
  #lastEntries: readonly Entry[];

  constructor(routes: readonly { readonly match: RouteMatch }[]) {
    const entries = routes.map((route, index) => ({
      index,
      host: route.match.host,
      path: route.match.path === null ? null : Uint8Array.from(Buffer.from(route.match.path, 'latin1')),
      isPrefix: route.match.pathIsPrefix,
    }));
    const chosen = (wanted: (host: string) => boolean): Entry[] =>
      entries.filter((entry) => entry.host === null || wanted(entry.host)).map(({ index, path, isPrefix }) => ({ index, path, isPrefix }));
    this.#any = chosen(() => false);
    this.#hasPaths = entries.some(({ path }) => path !== null);
    for (const { host } of entries) {
      if (host === null) continue;
      if (host.startsWith('*.')) {
        const suffix = host.slice(1);
        this.#suffixes.set(
          suffix,
          chosen((other) => other.startsWith('*.') && suffix.endsWith(other.slice(1))),
        );
      } else {
        this.#exact.set(
          host,
          chosen((other) => other === host || (other.startsWith('*.') && host.endsWith(other.slice(1)))),
        );
      }
    }
    this.#lastEntries = this.#any;
  }

  /** Index of the route for host buf[hostStart, hostEnd) and path buf[pathStart, pathEnd), query included, or NO_ROUTE. */
  find(buf: Buffer, hostStart: number, hostEnd: number, pathStart: number, pathEnd: number): number {
    const entries = this.#exact.size + this.#suffixes.size === 0 ? this.#any : this.#entriesOf(buf, hostStart, hostEnd);
    if (this.#hasPaths && !isNormalPath(buf, pathStart, pathEnd)) {
      const end = writeNormalPath(this.#normal, buf, pathStart, pathEnd);
      return firstMatch(entries, this.#normal, 0, end, NO_QUERY);
    }
    return firstMatch(entries, buf, pathStart, pathEnd, QUESTION);
  }

  /** Requests of one connection, and most of one worker, name the same host as the one before: that costs a comparison. */
  #entriesOf(buf: Buffer, start: number, end: number): readonly Entry[] {
    const length = end - start;
    if (length === this.#lastLength) {
      let i = 0;
      while (i < length && buf[start + i] === this.#lastHost[i]) i++;
      if (i === length) return this.#lastEntries;
    }
    const entries = this.#lookUp(buf.latin1Slice(start, end).toLowerCase());
    if (length <= this.#lastHost.length) {
      for (let i = 0; i < length; i++) this.#lastHost[i] = buf[start + i]!;
      this.#lastLength = length;
      this.#lastEntries = entries;
    }
    return entries;
  }

  #lookUp(written: string): readonly Entry[] {
    const host = written.endsWith('.') ? written.slice(0, -1) : written;
    const exact = this.#exact.get(host);
    if (exact !== undefined) return exact;
    if (this.#suffixes.size === 0) return this.#any;
    for (let dot = host.indexOf('.', 1); dot > 0; dot = host.indexOf('.', dot + 1)) {
      const entries = this.#suffixes.get(host.slice(dot));
      if (entries !== undefined) return entries;
    }
    return this.#any;
  }
}

/** `behind`: the byte that may follow a whole path. In one that was decoded a "?" is a part of it: RFC 3986, section 2.2. */
function firstMatch(entries: readonly Entry[], buf: Buffer, pathStart: number, pathEnd: number, behind: number): number {
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    if (entry.path === null || matches(entry, entry.path, buf, pathStart, pathEnd, behind)) return entry.index;
  }
  return NO_ROUTE;
}

function matches(entry: Entry, path: Uint8Array, buf: Buffer, start: number, end: number, behind: number): boolean {
  const length = path.length;
  if (end - start < length) return false;
  for (let i = 0; i < length; i++) if (buf[start + i] !== path[i]) return false;
  return entry.isPrefix || start + length === end || buf[start + length] === behind;
}
