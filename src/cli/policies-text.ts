/** `tollgate policies`: the list of them, and what one allows. */

import { TollgateError } from '../base/tollgate-error.ts';
import { didYouMean } from '../config/wording.ts';
import { groupName, schemeName, suiteName, versionName } from '../hello/names.ts';
import { allPolicies, findPolicy, policyNames } from '../hello/policies.ts';
import type { Policy } from '../hello/policy.ts';
import { columns } from '../observe/status.ts';

/** The policy that `name` means. Throws one sentence that names the nearest. */
export function policyOf(name: string): Policy {
  const policy = findPolicy(name);
  if (policy === undefined) throw new TollgateError('usage', `there is no policy '${name}'${didYouMean(name, policyNames())}`);
  return policy;
}

export function policiesView(): object[] {
  return allPolicies().map(policyView);
}

/** By standard names, best first. */
export function policyView(policy: Policy): object {
  return {
    name: policy.name,
    about: policy.about,
    versions: policy.versions.map(versionName),
    suites: policy.suites.map(suiteName),
    groups: policy.groups.map(groupName),
    signatureSchemes: policy.signatureSchemes.map(schemeName),
    chachaFirst: policy.chachaFirst,
    insistsOn: policy.insistsOn.map(groupName),
    requirePostQuantum: policy.requirePostQuantum,
    s2n: policy.s2n,
  };
}

export function policiesText(): string {
  const rows = allPolicies().map(({ name, about, versions }) => [name, versions.map(versionName).toReversed().join(' '), about]);
  return `${columns(rows).join('\n')}\n`;
}

export function policyText(policy: Policy): string {
  const list = (title: string, names: readonly string[]): string[] => [title, ...names.map((name) => `  ${name}`)];
  return [
    `${policy.name}: ${policy.about}`,
    policy.s2n === null ? 'served by OpenSSL' : `s2n has it as ${policy.s2n}`,
    '',
    ...list('Versions', policy.versions.map(versionName)),
    ...list('Cipher suites, best first', policy.suites.map(suiteName)),
    ...list('Groups, best first', policy.groups.map(groupName)),
    ...list('Signature schemes, best first', policy.signatureSchemes.map(schemeName)),
    ...(policy.chachaFirst ? ['ChaCha20 for clients that put it first'] : []),
    ...(policy.insistsOn.length > 0
      ? [`Asks again for ${policy.insistsOn.map(groupName).join(', ')} when a client guessed another group`]
      : []),
    ...(policy.requirePostQuantum ? ['Clients without one of these groups are refused before any crypto'] : []),
    '',
  ].join('\n');
}
