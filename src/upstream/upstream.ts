/** A set of targets that serve the same requests, and the turn each gets. */

import type { Reactor } from '../net/reactor.ts';
import type { TargetPlan, UpstreamPlan } from '../plan/plan.ts';
import type { TableRow } from '../plan/table.ts';
import { Target } from './target.ts';
import type { TargetTls } from './target-tls.ts';

export class Upstream {
  readonly plan: UpstreamPlan;
  readonly targets: readonly Target[];
  /** Smooth weighted round robin (as nginx's): what each target has to its credit. */
  readonly #credit: Float64Array;
  readonly #weightSum: number;

  /** `tlsOf`: TLS towards a target, or null where it is spoken to as it is. */
  constructor(plan: UpstreamPlan, reactor: Reactor, row: TableRow, tlsOf: (target: TargetPlan) => TargetTls | null = plainly) {
    this.plan = plan;
    this.targets = plan.targets.map((target) => new Target(target, plan, reactor, row, tlsOf(target)));
    this.#credit = new Float64Array(this.targets.length);
    this.#weightSum = plan.targets.reduce((sum, target) => sum + target.weight, 0);
    // Workers begin at different targets, so that a few requests on many cores do not all meet the first.
    if (this.targets.length > 1) for (let i = process.pid % this.targets.length; i > 0; i--) this.next();
  }

  /** The target whose turn it is, or null when there are none. */
  next(): Target | null {
    const targets = this.targets;
    if (targets.length <= 1) return targets[0] ?? null;
    const credit = this.#credit;
    let best = 0;
    for (let i = 0; i < targets.length; i++) {
      credit[i]! += targets[i]!.plan.weight;
      if (credit[i]! > credit[best]!) best = i;
    }
    credit[best]! -= this.#weightSum;
    return targets[best]!;
  }

  retire(): void {
    for (const target of this.targets) target.retire();
  }
}

function plainly(): null {
  return null;
}
