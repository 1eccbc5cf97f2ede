/** What travels on the control socket (frame.ts), by direction. Both ends of a connection are processes of the same user. */
import type { RevocationListView, RevocationPlan, RevocationVerdict } from './client-certificates.ts';
import type { LogOutput } from './log-plan.ts';
import type { ListenAddress, Plan, TargetAddress } from './plan.ts';
import type { PlanPart } from './plan-parts.ts';
import type { SpanRecord } from './span-record.ts';

/** The first message of every connection says who calls. */
export type Hello = WorkerHello | { readonly type: 'hello'; readonly role: 'command'; readonly pid: number };

export interface WorkerHello {
  readonly type: 'hello';
  readonly role: 'worker';
  /** Its row in the shared table. */
  readonly row: number;
  readonly pid: number;
  readonly generation: number;
  /** Tollgate's version, and whether it came from a supervisor that is gone. */
  readonly version: string;
  readonly orphan: boolean;
  readonly draining: boolean;
}

/** Supervisor to worker. */
export type ToWorker =
  /** Certificates and keys of the plan that is told next. */
  | PlanPart
  /** Run this plan, whose parts have come (plan-parts.ts). Answered by `adopted` or `refused`. */
  | { readonly type: 'plan'; readonly plan: Plan }
  /** Ticket keys, newest first; blob n is key n (32 bytes of secret). Sent before the first plan, and on rotation. */
  | { readonly type: 'tickets'; readonly keys: readonly TicketKey[] }
  /** Accept from these socket slots, until told otherwise; the whole list, each time. */
  | { readonly type: 'accept'; readonly slots: readonly number[] }
  /** A target's name has other addresses now, in the order to try. */
  | { readonly type: 'addresses'; readonly target: number; readonly addresses: readonly TargetAddress[] }
  /** Open a handoff channel to this path, and with `share` hand over what you hold. Answered on the channel. */
  | { readonly type: 'handoff'; readonly path: string; readonly share: boolean }
  /** List, or with `close` end, the connections that the filter names. Answered by `connections`. */
  | {
      readonly type: 'connections';
      readonly ask: number;
      readonly filter: ConnectionFilter;
      readonly close: boolean;
      readonly most: number;
    }
  /** Log what this client (a network; null: any) and this route (null: any) do, for so long; 0: no more. */
  | { readonly type: 'debug'; readonly client: string | null; readonly route: string | null; readonly forMs: number }
  /** No more secrets of handshakes are written to the file that was handed over for them. */
  | { readonly type: 'keylog-end' }
  /** Tell which plan you run. Answered by `running`. */
  | { readonly type: 'describe' }
  /** Revocation lists that still count, by id: the others are given back. */
  | { readonly type: 'lists'; readonly ids: readonly string[] }
  /** An answer to `revocation`: what is known of each certificate, and for how long. Lists that came of it have been handed over. */
  | { readonly type: 'revocation'; readonly ask: number; readonly answers: readonly RevocationAnswer[] }
  /** OCSP responses to show with certificates, by fingerprint; blob n belongs to n, an empty one takes the last back. */
  | { readonly type: 'staples'; readonly fingerprints: readonly string[] }
  /** Stop accepting, end idle connections, let open exchanges finish, then exit 0. Null: for as long as they last. */
  | { readonly type: 'drain'; readonly drainMs: number | null };

/** Worker to supervisor. */
export type FromWorker =
  /** `fastProblem`: why the fast TLS engine could not be loaded, so that the complete one serves in its place; null: it was, or is not asked for. */
  | { readonly type: 'adopted'; readonly planId: number; readonly ms: number; readonly fastProblem: string | null }
  | { readonly type: 'refused'; readonly planId: number; readonly error: string }
  /** Without its certificates. */
  | { readonly type: 'running'; readonly plan: Plan | null }
  /** Everything goes to the log descriptors that were handed over with this number; the ones before are closed. */
  | { readonly type: 'reopened'; readonly serial: number }
  /** `total` were meant; those listed are the first. */
  | { readonly type: 'connections'; readonly ask: number; readonly total: number; readonly list: readonly ConnectionView[] }
  /** How many connections a draining worker has left; now and then. */
  | { readonly type: 'draining'; readonly connections: number }
  /** SPANS_PER_FRAME sampled requests at most. */
  | { readonly type: 'spans'; readonly spans: readonly SpanRecord[] }
  /**
   * Are these certificates revoked? Blobs: DER of each and of its issuer, by turns. `whereTo`: what the listener lets ask.
   * Answered by `revocation`.
   */
  | {
      readonly type: 'revocation';
      readonly ask: number;
      readonly whereTo: Pick<RevocationPlan, 'fetch' | 'ocsp' | 'refreshMs'>;
    }
  | { readonly type: 'drained' };

export interface RevocationAnswer {
  readonly verdict: RevocationVerdict;
  /** Milliseconds. */
  readonly forMs: number;
}

export interface TicketKey {
  /** Hex of 16 bytes. */
  readonly name: string;
  /** Unix time from which it encrypts. Seconds. */
  readonly fromS: number;
}

/** Null: any. */
export interface ConnectionFilter {
  readonly id: string | null;
  /** A network, canonical. */
  readonly client: string | null;
  readonly listener: string | null;
}

/** A client's connection, as an operator sees it. */
export interface ConnectionView {
  /** Not used again while the worker lives. */
  readonly id: string;
  readonly client: string;
  readonly listener: string;
  readonly sni: string | null;
  /** `handshake`, `idle`, `request`, `tunnel`, `ends`. */
  readonly state: string;
  /** Since it was accepted. */
  readonly seconds: number;
  readonly requests: number;
}

/** Who asked for a change, for the history. */
export interface Author {
  readonly user: string;
  /** The command, or `start`, `SIGHUP`, `watch`. */
  readonly by: string;
}

/** A command to the supervisor, and its answer. */
export type FromCommand =
  | { readonly type: 'status' }
  | { readonly type: 'stop' }
  | { readonly type: 'reload'; readonly author: Author; readonly dryRun: boolean }
  | { readonly type: 'apply'; readonly author: Author; readonly file: string | null; readonly confirmMs: number }
  | { readonly type: 'confirm'; readonly author: Author }
  | { readonly type: 'rollback'; readonly author: Author; readonly to: number | null }
  | { readonly type: 'reopen' }
  | { readonly type: 'history' }
  | {
      readonly type: 'connections';
      readonly author: Author;
      readonly filter: { readonly id: string | null; readonly client: string | null; readonly listener: string | null };
      readonly close: boolean;
      readonly most: number;
    }
  | {
      readonly type: 'debug';
      readonly author: Author;
      readonly client: string | null;
      readonly route: string | null;
      readonly forMs: number;
    }
  /** Write the secrets of a listener's handshakes to a file, for so long; 0: no more. */
  | { readonly type: 'keylog'; readonly author: Author; readonly listener: string; readonly file: string; readonly forMs: number }
  /** What the running configuration would do with a client: `hello` in hexadecimal, records and all; `host` null: the one in it. */
  | { readonly type: 'explain'; readonly hello: string; readonly host: string | null; readonly path: string }
  | { readonly type: 'upgrade'; readonly author: Author }
  /** A successor (control/succession.ts): hand over what you hold to this path; then that it serves, or why it cannot. */
  | { readonly type: 'succeed'; readonly pid: number; readonly path: string }
  | { readonly type: 'succeeded'; readonly pid: number }
  | { readonly type: 'failed'; readonly pid: number; readonly message: string };

export type ToCommand =
  | { readonly type: 'answer'; readonly ok: boolean; readonly value: unknown }
  | { readonly type: 'error'; readonly message: string };

/**
 * Descriptors travel over socket pairs (SOCK_SEQPACKET) as SCM_RIGHTS; the bytes beside them are this, as JSON. Every worker holds the
 * sockets of every slot, so that it can accept for a dead neighbour.
 */
export type HandoffTag =
  | { readonly kind: 'sockets'; readonly address: ListenAddress; readonly slots: readonly number[] }
  | LogTag
  /** Where to write the secrets of a listener's handshakes, for so long and so many bytes. */
  | { readonly kind: 'keys'; readonly listener: string; readonly forMs: number; readonly bytesMax: number }
  /** Sealed memory with a list of revoked certificates, in place of the one of the same id. */
  | { readonly kind: 'list'; readonly view: RevocationListView }
  /** The shared table's memory. */
  | { readonly kind: 'table' }
  /** The listening socket of the admin address. */
  | { readonly kind: 'admin'; readonly address: ListenAddress }
  /** Everything that is handed over has been. Without descriptors. */
  | { readonly kind: 'end'; readonly pid: number };

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

/** Command line of a worker: `worker/main.ts ROW GENERATION CONTROL_PATH RUNTIME_PATH`. */
export interface WorkerArguments {
  readonly row: number;
  readonly generation: number;
  /** Where it finds the supervisor that started it, and where the one that runs when that is gone. */
  readonly controlPath: string;
  readonly lastingPath: string;
}
