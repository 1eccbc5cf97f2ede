/** Our names of TLS policies, and what the fast engine calls them. */
import type { PolicyName } from '../plan/plan.ts';

/**
 * Both forward-secret, AEAD only, with X25519MLKEM768 for clients that offer it. `intermediate`: TLS 1.2 and 1.3, for every client of the
 * last ten years. `modern`: TLS 1.3 alone. Names with a date never change their meaning in s2n.
 */
export const S2N_POLICIES: Readonly<Record<PolicyName, string>> = Object.freeze({
  intermediate: '20251014',
  modern: 'CloudFront-TLS-1-3-2025',
});
