/** What `tollgate check` says about a file itself: every error, warning and note, and what it would run. Renders nothing, opens no socket. */
import type { Plan } from '../plan/plan.ts';
import { type CompileOptions, compile } from './compile.ts';
import { ConfigError, type Finding } from './findings.ts';
import { type LoadedConfig, loadConfig } from './load.ts';

export interface CheckReport {
  readonly errors: readonly Finding[];
  readonly warnings: readonly Finding[];
  readonly notes: readonly Finding[];
  /**
   * Null when there are errors. The plan is to be looked at, not to be run: its blobs are gone (keys were read to be checked, and zeroed), and
   * names may be without addresses.
   */
  readonly checked: { readonly loaded: LoadedConfig; readonly plan: Plan } | null;
}

export interface CheckOptions extends Omit<CompileOptions, 'planId' | 'previous' | 'names'> {
  /** Names are not looked up. Otherwise one without an address is a warning: it may have one where the file is for. */
  readonly offline?: boolean;
  /** Variables; default: those of this process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Loads and compiles `path` nearly as a start would. Throws nothing that a configuration can cause. */
export async function checkFile(path: string, { offline = false, env, ...options }: CheckOptions = {}): Promise<CheckReport> {
  try {
    const loaded = await loadConfig(path, [], env);
    const { plan, blobs, warnings, notes } = await compile(loaded, { ...options, names: offline ? 'unasked' : 'wanted', planId: 1 });
    for (const { keyBlob } of plan.certificates) blobs[keyBlob]!.fill(0);
    return { errors: [], warnings, notes, checked: { loaded, plan } };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { errors: error.findings, warnings: error.warnings, notes: [], checked: null };
  }
}
