/** Rules about connections that are carried as they are, ready to run. Immutable; a new plan makes new ones. */
import type { AccessList, AccessLists } from '../guard/access-list.ts';
import type { TcpRoutePlan } from '../plan/plan.ts';
import { NameTable, type Offered } from '../route/name-table.ts';
import type { Upstream } from '../upstream/upstream.ts';

export class TcpRoute {
  readonly name: string;
  readonly upstream: Upstream;
  /** Null: everybody may. */
  readonly access: AccessList | null;

  constructor(plan: TcpRoutePlan, upstreams: readonly Upstream[], lists: AccessLists) {
    this.name = plan.name;
    this.upstream = upstreams[plan.upstream]!;
    this.access = lists.find(plan.access);
  }
}

export class TcpRoutes {
  readonly #table: NameTable;
  readonly #list: readonly TcpRoute[];

  constructor(plans: readonly TcpRoutePlan[], upstreams: readonly Upstream[], lists: AccessLists) {
    this.#table = new NameTable(plans.map(({ match }) => match));
    this.#list = plans.map((plan) => new TcpRoute(plan, upstreams, lists));
  }

  /** The rule for a client that asked for `name` and offers, or agreed to, `offered`; null: there is none. */
  find(name: string | null, offered: Offered): TcpRoute | null {
    return this.#list[this.#table.find(name, offered)] ?? null;
  }
}

/** The one protocol that was agreed by ALPN; none when empty. */
export class Agreed implements Offered {
  readonly #protocol: string;

  constructor(protocol: string) {
    this.#protocol = protocol;
  }

  offersAlpn(protocol: Uint8Array): boolean {
    return this.#protocol !== '' && this.#protocol === Buffer.from(protocol).toString('latin1');
  }
}
