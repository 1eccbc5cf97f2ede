/** Who may come in: allowed and denied networks, the longest prefix decides, a tie is a denial. */
import { NetworkList } from './network-list.ts';

const ALLOWED = 1;
const DENIED = 2;

export class AccessList {
  readonly #networks: NetworkList;
  /** Whether somebody in no list may come in: unless only friends are listed. */
  readonly #openToOthers: boolean;

  constructor(allow: readonly string[], deny: readonly string[]) {
    this.#networks = new NetworkList([
      ...allow.map((network) => ({ network, verdict: ALLOWED })),
      ...deny.map((network) => ({ network, verdict: DENIED })),
    ]);
    this.#openToOthers = deny.length > 0 || allow.length === 0;
  }

  /** What is no IP address (a Unix socket's peer) is inside already, and may. */
  allows(address: string): boolean {
    const verdict = this.#networks.lookUp(address);
    if (verdict === 0) return this.#openToOthers || (!address.includes('.') && !address.includes(':'));
    return verdict === ALLOWED;
  }
}
