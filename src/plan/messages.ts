/** What travels on the control socket (frame.ts), by direction. Both ends of a connection are processes of the same user. */
import type { LogOutput } from './log-plan.ts';
import type { Plan, TargetAddress } from './plan.ts';

/** The first message of every connection says who calls. */
export type Hello =
  | { readonly type: 'hello'; readonly role: 'worker'; readonly slot: number; readonly pid: number; readonly generation: number }
  | { readonly type: 'hello'; readonly role: 'command'; readonly pid: number };

/** Supervisor to worker. */
export type ToWorker =
  /** Run this plan. Its certificates and keys are the frame's blobs. Answered by `adopted` or `refused`. */
  | { readonly type: 'plan'; readonly plan: Plan }
  /** Ticket keys, newest first; blob n is key n (32 bytes of secret). Sent before the first plan, and on rotation. */
  | { readonly type: 'tickets'; readonly keys: readonly TicketKey[] }
  /** Accept from these worker slots' sockets as well as your own, until told otherwise; the whole list, each time. */
  | { readonly type: 'cover'; readonly slots: readonly number[] }
  /** A target's name has other addresses now, in the order to try. */
  | { readonly type: 'addresses'; readonly target: number; readonly addresses: readonly TargetAddress[] }
  /** Stop accepting, end idle connections, let open exchanges finish, then exit 0. */
  | { readonly type: 'drain'; readonly drainMs: number };

/** Worker to supervisor. */
export type FromWorker =
  | { readonly type: 'adopted'; readonly planId: number; readonly ms: number }
  | { readonly type: 'refused'; readonly planId: number; readonly error: string }
  /** Everything goes to the log descriptors that were handed over with this number; the ones before are closed. */
  | { readonly type: 'reopened'; readonly serial: number }
  | { readonly type: 'drained' };

export interface TicketKey {
  /** Hex of 16 bytes. */
  readonly name: string;
  /** Unix time from which it encrypts. Seconds. */
  readonly fromS: number;
}

/** A command (`tollgate status`, `stop`, `reload`, `reopen`) to the supervisor, and its answer. */
export type FromCommand =
  | { readonly type: 'status' }
  | { readonly type: 'stop' }
  | { readonly type: 'reload' }
  | { readonly type: 'reopen' };
export type ToCommand =
  | { readonly type: 'answer'; readonly ok: boolean; readonly value: unknown }
  | { readonly type: 'error'; readonly message: string };

/** Descriptors travel over a socket pair (SOCK_SEQPACKET) as SCM_RIGHTS; the bytes beside them are this, as JSON. */
export type HandoffTag =
  /** `slots` own the sockets; every worker holds every slot's, so that it can accept for a dead neighbour. */
  { readonly kind: 'sockets'; readonly address: string; readonly slots: readonly number[] } | LogTag;

/**
 * A log's descriptor, for plan `planId`: used from its adoption on, or at once where that plan runs. Handed over before the plan is told.
 * `serial` rises with every opening.
 */
export interface LogTag {
  readonly kind: 'log';
  readonly log: 'access' | 'error';
  readonly planId: number;
  readonly serial: number;
  readonly output: LogOutput;
}

/** Descriptors a worker is born with. */
export const HANDOFF_FD = 3;
export const TABLE_FD = 4;

/** Command line of a worker: `worker/main.ts SLOT GENERATION CONTROL_PATH`. */
export interface WorkerArguments {
  readonly slot: number;
  readonly generation: number;
  readonly controlPath: string;
}
