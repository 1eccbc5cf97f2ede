/**
 * `npm run goldens`: writes what is expected of the golden configurations anew, for a person to look through in the difference.
 *
 *   test/golden/errors/SUBJECT/NAME.txt    a case with its output (golden-case.ts)
 *   test/golden/plans/NAME.yaml (or .ts)   a configuration, and NAME.json, the plan it becomes
 *   test/golden/import/NAME/               another program's configuration, and NAME.yaml, what is made of it (import-goldens.ts)
 *
 * The tests beside this only compare. A machine that tests on its own has no business writing them.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile } from '../src/config/compile.ts';
import { findingText } from '../src/config/findings.ts';
import { type LoadedConfig, loadConfig } from '../src/config/load.ts';
import type { Plan } from '../src/plan/plan.ts';
import { isCi } from './check.ts';
import { caseText, GoldenGround, NOW_MS, readCase } from './golden-case.ts';
import { importGoldens } from './import-goldens.ts';

export const ERRORS: string = fileURLToPath(new URL('../test/golden/errors', import.meta.url));
export const PLANS: string = fileURLToPath(new URL('../test/golden/plans', import.meta.url));

/** Of the plans' configurations. */
export const PLAN_ENV: Readonly<Record<string, string>> = {
  GOLDEN_WORKERS: '3',
  GOLDEN_PORT: '8443',
  GOLDEN_EMPTY: '',
  GOLDEN_TOKEN: 'token-of-secrets',
};

export interface Golden {
  /** What a person reads it for. */
  readonly name: string;
  /** The file that has what is expected. */
  readonly path: string;
  /** What it is now. */
  readonly make: (ground: GoldenGround) => Promise<string>;
}

export function errorGoldens(): readonly Golden[] {
  return globSync('*/*.txt', { cwd: ERRORS })
    .sort()
    .map((file) => {
      const path = join(ERRORS, file);
      return {
        name: `errors/${file}`,
        path,
        make: async (ground) => {
          const given = readCase(readFileSync(path, 'utf8'));
          return caseText(given, await ground.outcome(given));
        },
      };
    });
}

export function planGoldens(): readonly Golden[] {
  return planFiles().map((file) => ({
    name: `plans/${file}`,
    path: join(PLANS, file.replace(/\.[a-z]+$/, '.json')),
    make: async (ground) => {
      const { directory, path } = layPlans(ground, file);
      return ground.plain(await planText(await loadConfig(path, [], PLAN_ENV)), directory);
    },
  }));
}

/** The configurations that become plans; what they include lies in directories beside them. */
export function planFiles(): readonly string[] {
  return globSync('*.{yaml,ts}', { cwd: PLANS }).sort();
}

/** Throws when what is expected has become something else. */
export async function assertGolden({ path, make }: Golden, ground: GoldenGround): Promise<void> {
  assert.equal(await make(ground), readFileSync(path, 'utf8'), 'run `npm run goldens`, and look through what changed');
}

const laid = new WeakMap<GoldenGround, string>();

/** The directory with all the configurations and what they name, and the path of `file` in it. */
export function layPlans(ground: GoldenGround, file: string): { readonly directory: string; readonly path: string } {
  const directory = laid.get(ground) ?? layAll(ground);
  laid.set(ground, directory);
  return { directory, path: join(directory, file) };
}

function layAll(ground: GoldenGround): string {
  const files = globSync('**/*', { cwd: PLANS, withFileTypes: true }).filter(
    (each) => each.isFile() && !(each.parentPath === PLANS && each.name.endsWith('.json')),
  );
  return ground.lay({
    directives: [],
    files: files.map((each) => {
      const path = join(each.parentPath, each.name);
      return [path.slice(PLANS.length + 1), readFileSync(path, 'utf8')];
    }),
  });
}

/** Warnings and plan of a configuration; what no run has in common with the next by its name. */
export async function planText(loaded: LoadedConfig): Promise<string> {
  const { plan, blobs, warnings } = await compile(loaded, {
    planId: 1,
    nowMs: NOW_MS,
    ipv6: true,
    resolve,
    machineAuthorities: () => join(loaded.directoryOf([]), 'certs/root.pem'),
  });
  for (const blob of blobs) blob.fill(0);
  return `${JSON.stringify({ warnings: warnings.map(findingText), plan: steady(plan) }, null, 2)}\n`;
}

function steady(plan: Plan): unknown {
  return {
    ...plan,
    listeners: plan.listeners.map((listener) => ({
      ...listener,
      tls: listener.tls && {
        ...listener.tls,
        rules: listener.tls.rules.map((rule) => ({ ...rule, clients: rule.clients && { ...rule.clients, id: 'FINGERPRINT' } })),
      },
    })),
    upstreams: plan.upstreams.map((each) => (each.tls === null ? each : { ...each, tls: { ...each.tls, id: 'FINGERPRINT' } })),
    certificates: plan.certificates.map((each) => ({ ...each, fingerprint: 'FINGERPRINT', chainFingerprint: 'FINGERPRINT' })),
    accessLog:
      plan.accessLog?.destination.kind === 'syslog'
        ? { ...plan.accessLog, destination: { ...plan.accessLog.destination, host: 'HOST' } }
        : plan.accessLog,
  };
}

async function resolve(host: string): Promise<readonly { readonly address: string; readonly family: 4 | 6 }[]> {
  if (host === 'both.test') {
    return [
      { address: '2001:db8::9', family: 6 },
      { address: '192.0.2.9', family: 4 },
    ];
  }
  return [{ address: '192.0.2.9', family: 4 }];
}

if (import.meta.main) {
  if (isCi()) {
    console.error('goldens are written where somebody reads them, not in CI');
    process.exit(1);
  }
  const ground = await GoldenGround.make();
  try {
    // `npm run goldens -- errors/program` is for those whose names begin so.
    const [wanted = ''] = process.argv.slice(2);
    const goldens: readonly Golden[] = [...errorGoldens(), ...planGoldens(), ...importGoldens()];
    for (const { path, name, make } of goldens.filter((each) => each.name.startsWith(wanted))) {
      const text = await make(ground);
      let before = '';
      try {
        before = readFileSync(path, 'utf8');
      } catch {
        // A new one.
      }
      if (before === text) continue;
      writeFileSync(path, text);
      console.log(`written: ${name}`);
    }
  } finally {
    ground.end();
  }
}
