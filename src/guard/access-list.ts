/** Who may come in: allowed and denied networks, the longest prefix decides, a tie is a denial. */
import { assert } from '../base/assert.ts';
import { NetworkList } from '../plan/network-list.ts';
import { ACCESS_ALLOWED, type AccessPlan, accessPlansOf, type Plan } from '../plan/plan.ts';

/** Bytes of a list that are copied in one step. */
const STEP_BYTES = 262_144;

export class AccessList {
  readonly #networks: NetworkList;
  readonly #openToOthers: boolean;

  constructor(networks: NetworkList, openToOthers: boolean) {
    this.#networks = networks;
    this.#openToOthers = openToOthers;
  }

  /** What is no IP address (a Unix socket's peer) is inside already, and may. */
  allows(address: string): boolean {
    const verdict = this.#networks.lookUp(address);
    if (verdict === 0) return this.#openToOthers || (!address.includes('.') && !address.includes(':'));
    return verdict === ACCESS_ALLOWED;
  }
}

/** The lists that a plan names, each once. */
export class AccessLists {
  readonly #lists = new Map<number, AccessList>();

  /** Takes them out of the plan's blobs, into memory of their own; yields often, since a list may have hundreds of thousands of networks. */
  static *load(plan: Plan, blobs: readonly Uint8Array[]): Generator<undefined, AccessLists, undefined> {
    const loaded = new AccessLists();
    for (const { networksBlob, openToOthers } of accessPlansOf(plan)) {
      if (loaded.#lists.has(networksBlob)) continue;
      const blob = blobs[networksBlob];
      assert(blob !== undefined, 'a plan carries its lists');
      const memory = new Uint8Array(blob.length);
      for (let at = 0; at < blob.length; at += STEP_BYTES) {
        memory.set(blob.subarray(at, at + STEP_BYTES), at);
        yield;
      }
      loaded.#lists.set(networksBlob, new AccessList(new NetworkList(memory.buffer), openToOthers));
    }
    return loaded;
  }

  /** Null: everybody may come in. */
  find(access: AccessPlan | null): AccessList | null {
    return access === null ? null : this.#lists.get(access.networksBlob)!;
  }
}
