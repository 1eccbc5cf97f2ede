/** What a TLS policy allows, by the numbers on the wire (IANA), each list best first. */
export interface TlsRules {
  /** 0x0301..=0x0304. */
  readonly versions: readonly number[];
  readonly suites: readonly number[];
  readonly groups: readonly number[];
  readonly signatureSchemes: readonly number[];
}

/** A policy made of a configuration's own lists, as a plan carries it. */
export interface OwnPolicy extends TlsRules {
  /** For people: of which preset it is, and what is its own. */
  readonly name: string;
  readonly requirePostQuantum: boolean;
}
