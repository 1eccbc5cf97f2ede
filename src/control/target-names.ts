/**
 * Targets that were written with a name: their names are looked up for as long as a plan has them, and workers are told where they are. The
 * supervisor says which plan runs, and who its workers are.
 */
import type { HostAddress } from '../config/resolve-host.ts';
import type { Log } from '../observe/log.ts';
import type { ToWorker } from '../plan/messages.ts';
import type { Plan, TargetAddress, TargetPlan } from '../plan/plan.ts';
import { NameWatcher } from './name-watcher.ts';

/** Who is told. */
export interface TargetNamesWorker {
  tell(message: ToWorker): void;
}

type TargetHost = NonNullable<TargetPlan['host']>;

export class TargetNames {
  readonly #plan: () => Plan;
  readonly #workers: () => readonly TargetNamesWorker[];
  readonly #watcher: NameWatcher;

  constructor(log: Log, plan: () => Plan, workers: () => readonly TargetNamesWorker[]) {
    this.#plan = plan;
    this.#workers = workers;
    this.#watcher = new NameWatcher({ log, onChange: (name) => this.#onMoved(name) });
  }

  /** Looks after the names of the plan that runs, and no others. */
  commit(): void {
    const targets = namedTargets(this.#plan());
    this.#watcher.keep(new Set(targets.map(({ host }) => host.name)));
    for (const { host, addresses } of targets) this.#watcher.watch(host.name, hostAddresses(addresses));
  }

  /** Tells a worker where the targets of its plan are by now. */
  welcome(worker: TargetNamesWorker): void {
    for (const { slot, host } of namedTargets(this.#plan())) this.#tell(worker, slot, host);
  }

  close(): void {
    this.#watcher.close();
  }

  #onMoved(name: string): void {
    for (const { slot, host } of namedTargets(this.#plan())) {
      if (host.name !== name) continue;
      for (const worker of this.#workers()) this.#tell(worker, slot, host);
    }
  }

  #tell(worker: TargetNamesWorker, target: number, host: TargetHost): void {
    const addresses = this.#watcher.addresses(host.name).map(({ address: ip, family }) => ({ family, ip, port: host.port }));
    if (addresses.length > 0) worker.tell({ type: 'addresses', target, addresses });
  }
}

function namedTargets(plan: Plan): (TargetPlan & { readonly host: TargetHost })[] {
  return plan.upstreams.flatMap(({ targets }) => targets.filter((target) => target.host !== null) as (TargetPlan & { host: TargetHost })[]);
}

function hostAddresses(addresses: readonly TargetAddress[]): HostAddress[] {
  return addresses.flatMap((address) => (address.family === 0 ? [] : [{ address: address.ip, family: address.family }]));
}
