/** What is known of a supervisor and its workers at one moment. */
import type { Plan } from '../plan/plan.ts';
import type { SharedTable } from '../plan/table.ts';

/** What status and readiness are made from, beside the table. */
export interface Snapshot {
  readonly plan: Plan;
  readonly table: SharedTable;
  readonly startedMs: number;
  readonly uptimeS: number;
  readonly draining: boolean;
  readonly workers: readonly WorkerView[];
  /** Workers that finish what they have. */
  readonly finishing: readonly { readonly pid: number; readonly connections: number | null }[];
}

export interface WorkerView {
  /** Its seat. */
  readonly slot: number;
  /** Its row in the table; null: nobody sits there. */
  readonly row: number | null;
  readonly pid: number | null;
  readonly ready: boolean;
  readonly restarts: number;
}
