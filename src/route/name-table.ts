/**
 * Which of a list of rules is for a connection, by the server name and the protocols of its ClientHello: the first in the configuration's
 * order that matches. Compiled once, then only read; names are found through a table, as the hosts of route-table.ts.
 */
import type { NameMatch } from '../plan/plan.ts';

/** What a client offers by ALPN, or what was agreed with it. */
export interface Offered {
  offersAlpn(protocol: Uint8Array): boolean;
}

interface Entry {
  readonly index: number;
  /** Empty: any. */
  readonly protocols: readonly Uint8Array[];
}

export const NO_MATCH = -1;

export class NameTable {
  /** By exact name, with the rules for any name merged in, in order. */
  readonly #exact = new Map<string, readonly Entry[]>();
  /** By what follows `*`: `.example.com`. */
  readonly #suffixes = new Map<string, readonly Entry[]>();
  readonly #any: readonly Entry[];

  constructor(matches: readonly NameMatch[]) {
    const entries = matches.map(({ sni, alpn }, index) => ({
      sni,
      entry: { index, protocols: alpn.map((name) => Uint8Array.from(Buffer.from(name, 'latin1'))) },
    }));
    const chosen = (wanted: (sni: string) => boolean): Entry[] =>
      entries.filter(({ sni }) => sni === null || wanted(sni)).map(({ entry }) => entry);
    this.#any = chosen(() => false);
    for (const { sni } of entries) {
      if (sni === null) continue;
      const own = sni.startsWith('*.') ? sni.slice(1) : sni;
      const holds = (other: string): boolean => other === sni || (other.startsWith('*.') && own.endsWith(other.slice(1)));
      (sni.startsWith('*.') ? this.#suffixes : this.#exact).set(own, chosen(holds));
    }
  }

  /** Index of the rule for `name` (lower case, no trailing dot; null: the client named no server), or NO_MATCH. */
  find(name: string | null, offered: Offered): number {
    const entries = name === null ? this.#any : this.#entriesOf(name);
    for (let i = 0; i < entries.length; i++) if (fits(entries[i]!, offered)) return entries[i]!.index;
    return NO_MATCH;
  }

  #entriesOf(name: string): readonly Entry[] {
    const exact = this.#exact.get(name);
    if (exact !== undefined) return exact;
    if (this.#suffixes.size === 0) return this.#any;
    for (let dot = name.indexOf('.', 1); dot > 0; dot = name.indexOf('.', dot + 1)) {
      const entries = this.#suffixes.get(name.slice(dot));
      if (entries !== undefined) return entries;
    }
    return this.#any;
  }
}

function fits({ protocols }: Entry, offered: Offered): boolean {
  for (let i = 0; i < protocols.length; i++) if (offered.offersAlpn(protocols[i]!)) return true;
  return protocols.length === 0;
}
