/**
 * A policy setting becomes what a plan carries: a name, or lists that go together. Lists that leave a version without what it needs, or that
 * have what no version of theirs can use, are refused: who writes them means them.
 */
import type { EngineName } from '../base/engine-name.ts';
import { FAULT_TLS_NO_SHARED_GROUP, FAULT_TLS_NO_SHARED_SIGNATURE } from '../base/faults.ts';
import { KEY_TYPES, type KeyType } from '../base/key-type.ts';
import type { OwnPolicy } from '../base/tls-rules.ts';
import { refusedAtBest } from '../hello/best-client.ts';
import { groupName, schemeName, suiteName, versionName } from '../hello/names.ts';
import { findPolicy, policyOf } from '../hello/policies.ts';
import type { Policy } from '../hello/policy.ts';
import { groupIsOf, refusedSuite, SERVABLE_GROUPS, schemeIsOf, suiteIsOf } from '../hello/servable.ts';
import type { SettingPath } from './findings.ts';
import type { OwnLists } from './policy-setting.ts';
import { listed } from './wording.ts';

/** Keys that a listener's certificate may have (certificate-file.ts). */
const SERVER_KEYS: readonly KeyType[] = KEY_TYPES.filter((key) => !['ed25519', 'ed448', 'other'].includes(key));

type Report = (path: SettingPath, message: string) => void;

/** The policy that `setting` means, or null: what is wrong has been told, at `path` or below it. */
export function compilePolicy(setting: string | OwnLists, path: SettingPath, error: Report): string | OwnPolicy | null {
  // The schema takes no other names.
  if (typeof setting === 'string') return findPolicy(setting)!.name;
  return new OwnCompiler(setting, path, error).policy();
}

class OwnCompiler {
  readonly #lists: OwnLists;
  readonly #base: Policy;
  readonly #path: SettingPath;
  readonly #error: Report;
  #failed = false;

  constructor(lists: OwnLists, path: SettingPath, error: Report) {
    this.#lists = lists;
    this.#base = findPolicy(lists.base)!;
    this.#path = path;
    this.#error = error;
  }

  policy(): OwnPolicy | null {
    const base = this.#base;
    const versions = this.#versions();
    // Finite-field groups and old suites of a base are nobody's here.
    const suites = this.#list(
      'suites',
      base.suites.filter((suite) => refusedSuite(suite) === null),
      versions,
      suiteName,
      suiteIsOf,
    );
    const groups = this.#list(
      'groups',
      base.groups.filter((group) => SERVABLE_GROUPS.includes(group)),
      versions,
      groupName,
      groupIsOf,
    );
    const signatureSchemes = this.#schemes(versions);
    if (this.#failed) return null;
    const own: OwnPolicy = { name: this.#name(), versions, suites, groups, signatureSchemes, requirePostQuantum: base.requirePostQuantum };
    for (const version of versions) {
      const lack = lackAtBest(policyOf(own), version, SERVER_KEYS, 'openssl');
      if (lack !== null) this.#problem([], `there is no ${lack} for ${versionName(version)}: no client could come in by it`);
    }
    return this.#failed ? null : own;
  }

  #problem(where: SettingPath, message: string): void {
    this.#failed = true;
    this.#error([...this.#path, ...where], message);
  }

  #versions(): readonly number[] {
    const { versions: given } = this.#lists;
    if (given === undefined) return this.#base.versions.filter((version) => version > 0x0300);
    const versions = this.#unrepeated('versions', given, versionName).toSorted((a, b) => b - a);
    const gap = versions.slice(1).findIndex((version, i) => version !== versions[i]! - 1);
    if (gap >= 0) this.#problem(['versions'], `${versionName(versions[gap]! - 1)} is left out between others: versions have no gaps`);
    return versions;
  }

  /** A list as it is given, each element of use to one of `versions`; or the base's, as far as that is so. */
  #list(
    name: 'suites' | 'groups' | 'signatureSchemes',
    base: readonly number[],
    versions: readonly number[],
    nameOf: (value: number) => string,
    isOf: (value: number, version: number) => boolean,
  ): readonly number[] {
    const given = this.#lists[name];
    const isUsed = (value: number): boolean => versions.some((version) => isOf(value, version));
    if (given === undefined) return base.filter(isUsed);
    for (const [at, value] of given.entries()) {
      if (!isUsed(value)) this.#problem([name, at], `${nameOf(value)} is of no use in ${listed(versions.map(versionName))}`);
    }
    return this.#unrepeated(name, given, nameOf);
  }

  /** Below TLS 1.2 nobody reads them, and the library wants some all the same. */
  #schemes(versions: readonly number[]): readonly number[] {
    const schemes = this.#list('signatureSchemes', this.#base.signatureSchemes, versions, schemeName, schemeIsOf);
    return schemes.length === 0 && versions[0]! < 0x0303 ? this.#base.signatureSchemes : schemes;
  }

  #unrepeated(name: string, given: readonly number[], nameOf: (value: number) => string): readonly number[] {
    for (const [at, value] of given.entries()) {
      if (given.indexOf(value) !== at) this.#problem([name, at], `${nameOf(value)} stands in this list already`);
    }
    return given;
  }

  #name(): string {
    const own = (['versions', 'suites', 'groups', 'signatureSchemes'] as const).filter((name) => this.#lists[name] !== undefined);
    return own.length === 4 ? 'own lists' : `${this.#base.name} with own ${own.length === 0 ? 'lists' : own.join(', ')}`;
  }
}

/** What the best of clients of `version` would be refused for, under `policy` and by certificates with `keys`; null: it would not. */
export function lackAtBest(policy: Policy, version: number, keys: readonly KeyType[], engine: EngineName): string | null {
  const fault = refusedAtBest(policy, version, keys, engine);
  if (fault === 0) return null;
  return fault === FAULT_TLS_NO_SHARED_GROUP ? 'group' : fault === FAULT_TLS_NO_SHARED_SIGNATURE ? 'signature scheme' : 'cipher suite';
}
