/** One route of a listener, ready to run: what is done with its requests. Immutable; a new plan makes new ones. */
import type { FieldPlan } from '../base/field-edits-plan.ts';
import type { AccessList, AccessLists } from '../guard/access-list.ts';
import { PasswordTable } from '../guard/passwords.ts';
import { basicChallenge } from '../http/basic-auth.ts';
import { type CompressionPolicy, compileTypes } from '../http/compression-rules.ts';
import { FieldEdits } from '../http/field-edits.ts';
import type { LocalAnswer, LocalAnswers } from '../http/local-answers.ts';
import { ROUTE_PLACES } from '../plan/counters.ts';
import type { ForwardPlan, RoutePlan } from '../plan/plan.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { GateRules } from './gate.ts';

/** Where requests are sent on to. */
export class ForwardAction {
  readonly upstream: Upstream;
  /** Host the server is told; '' keeps the client's. */
  readonly host: string;
  /** The same without port, lower case. */
  readonly hostName: string;
  readonly mend: boolean;
  readonly requestBodyMax: number;
  readonly responseBodyMax: number;
  readonly requestBuffer: number;
  readonly responseBuffer: number;
  readonly compress: CompressionPolicy | null;

  constructor(plan: ForwardPlan, upstream: Upstream) {
    this.upstream = upstream;
    this.host = plan.host ?? '';
    this.hostName = this.host.replace(/:\d+$/, '');
    this.mend = plan.mend;
    this.requestBodyMax = plan.requestBodyMax ?? Number.POSITIVE_INFINITY;
    this.responseBodyMax = plan.responseBodyMax ?? Number.POSITIVE_INFINITY;
    this.requestBuffer = plan.requestBuffer;
    this.responseBuffer = plan.responseBuffer;
    this.compress = plan.compress === null ? null : { ...plan.compress, types: compileTypes(plan.compress.types) };
  }
}

/** An answer of our own that needs the request: where it is to go instead. */
export class RedirectAction {
  readonly status: number;
  readonly location: readonly (string | number)[];
  readonly opening: Uint8Array;
  readonly closing: Uint8Array;

  constructor(status: number, location: readonly (string | number)[], answers: LocalAnswers, without: ReadonlySet<string>) {
    const { opening, closing } = answers.redirect(status, without);
    this.status = status;
    this.location = location;
    this.opening = opening;
    this.closing = closing;
  }
}

export class Route {
  readonly name: string;
  /** Where its places begin in the context's `routeCounters`. */
  readonly countersAt: number;
  /** Exactly one of these three. */
  readonly forward: ForwardAction | null;
  readonly redirect: RedirectAction | null;
  readonly answer: LocalAnswer | null;
  /** Null: everybody may. */
  readonly access: AccessList | null;
  /** Whose users may pass, and what others are told. */
  readonly passwords: PasswordTable | null;
  readonly challenge: LocalAnswer | null;
  /** Who is asked about every request. */
  readonly gate: GateRules | null;
  /** A client's own fields of the names that the gate gives. */
  readonly gateEdits: FieldEdits | null;
  /** Nothing is asked, and nothing waited for, before a request goes on. */
  readonly isOpen: boolean;
  readonly requestEdits: FieldEdits | null;
  /** Of our own answers, those that are no refusals, too: what it takes out they do not have. */
  readonly responseEdits: FieldEdits | null;

  constructor(plan: RoutePlan, upstreams: readonly Upstream[], lists: AccessLists, answers: LocalAnswers, hsts: string | null) {
    const { action } = plan;
    const fields = plan.responseFields ?? { remove: [], set: [], add: [] };
    const without = new Set([...fields.remove, ...fields.set.map(({ name }) => name.toLowerCase())]);
    this.name = plan.name;
    this.countersAt = plan.slot * ROUTE_PLACES;
    this.forward = action.kind === 'forward' ? new ForwardAction(action, upstreams[action.upstream]!) : null;
    this.redirect = action.kind === 'redirect' ? new RedirectAction(action.status, action.location, answers, without) : null;
    this.answer = action.kind === 'respond' ? answers.make(action.status, action.contentType, action.body, '', without) : null;
    this.access = lists.find(plan.access);
    const { basicAuth, forwardAuth } = plan;
    this.passwords = basicAuth === null ? null : new PasswordTable(basicAuth.users);
    this.challenge = basicAuth === null ? null : answers.challenge(Buffer.from(basicChallenge(basicAuth.realm)).toString('latin1'));
    this.gate =
      forwardAuth === null
        ? null
        : {
            upstream: upstreams[forwardAuth.upstream]!,
            path: forwardAuth.path,
            toRequest: new Set(forwardAuth.toRequest),
            toResponse: new Set(forwardAuth.toResponse),
          };
    this.gateEdits = forwardAuth === null ? null : new FieldEdits({ remove: forwardAuth.toRequest, set: [], add: [] });
    this.isOpen = this.passwords === null && this.gate === null && (this.forward?.requestBuffer ?? 0) === 0;
    this.requestEdits = plan.requestFields === null ? null : new FieldEdits(plan.requestFields);
    // Our own answers have it as it is.
    const own = hsts === null || this.forward === null || without.has('strict-transport-security') ? [] : [hstsField(hsts)];
    const all = { ...fields, set: [...fields.set, ...own] };
    this.responseEdits = all.set.length + all.add.length + all.remove.length === 0 ? null : new FieldEdits(all);
  }
}

function hstsField(value: string): FieldPlan {
  return { name: 'Strict-Transport-Security', value: [value] };
}
