/** `tollgate doctor`: this machine, judged against a configuration or against the settings' defaults; and what `tollgate status` tells of it. */
import { dirname } from 'node:path';
import { stateDirectory } from '../certs/data-directory.ts';
import { compile } from '../config/compile.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import type { Plan } from '../plan/plan.ts';
import { workersOf } from './changes.ts';
import { type Machine, readMachine } from './machine.ts';
import { judgeMachine, type MachineFinding, type Wanted, wantedBy } from './machine-judgement.ts';
import { livingWorkers } from './process-identity.ts';
import { defaultRuntimeDirectory } from './runtime-directory.ts';

/** `limits.connections` and a listener's `backlog`, where nothing is said (config/schema.ts). */
const USUAL_CONNECTIONS = 100_000;
const USUAL_BACKLOG = 4_096;

export interface DoctorReport {
  /** No problem was found; warnings may have been. */
  readonly ok: boolean;
  /** The configuration that the machine was judged against; null: the settings' defaults. */
  readonly config: string | null;
  readonly findings: readonly Omit<MachineFinding, 'inactive'>[];
}

/** Judges this machine. Throws ConfigError when `file` is wrong: what it wants is not known then. */
export async function examine(file: string | null, runtime: string | null): Promise<DoctorReport> {
  const loaded = file === null ? null : await loadConfig(file);
  const directory = runtime ?? loaded?.config.runtime ?? defaultRuntimeDirectory();
  const machine = readMachine({ worker: livingWorkers(directory)[0]?.pid ?? null, places: places(loaded, directory) });
  const wanted = loaded === null ? usual(machine) : wantedBy(await planOf(loaded), workersOf(loaded));
  const findings = judgeMachine(machine, wanted, Date.now()).map(({ inactive: _, ...finding }) => finding);
  return { ok: findings.every(({ severity }) => severity !== 'problem'), config: file, findings };
}

/** What `plan` asks for and cannot have on this machine, a sentence each. */
export function inactiveHere(plan: Plan, workers: number): readonly string[] {
  return judgeMachine(readMachine({ asksClock: false }), wantedBy(plan, workers), Date.now()).flatMap(({ inactive }) => inactive ?? []);
}

async function planOf(loaded: LoadedConfig): Promise<Plan> {
  const { plan, blobs } = await compile(loaded, { planId: 1 });
  for (const blob of blobs) blob.fill(0);
  return plan;
}

function usual({ cores }: Machine): Wanted {
  const address = { family: 4, ip: '0.0.0.0', port: 65_535 } as const;
  return {
    workers: cores.usable,
    connections: USUAL_CONNECTIONS,
    memoryBytesMax: null,
    listeners: [{ name: 'a listener', address, backlog: USUAL_BACKLOG, fastOpen: false }],
    targets: [],
    certificates: [],
  };
}

function places(loaded: LoadedConfig | null, runtime: string): { purpose: string; path: string }[] {
  const { access, error } = loaded?.config.log ?? {};
  const log = (purpose: string, path: string | undefined) =>
    path === undefined || path === '-' || path === 'off' ? [] : [{ purpose, path: dirname(path) }];
  return [
    ...log('access log', access?.path),
    ...log('error log', error?.path),
    { purpose: 'runtime directory', path: runtime },
    { purpose: 'history and certificates', path: stateDirectory() },
  ];
}

/** For people: a line for each finding, what to change below it, and the kernel settings once more, ready to be pasted. */
export function reportText({ findings, config }: DoctorReport): string {
  const wide = Math.max(...findings.map(({ topic }) => topic.length));
  const lines = findings.flatMap(({ severity, topic, found, why, change, sysctls }) => {
    const indent = ' '.repeat(11 + wide);
    return [
      `${severity.padEnd(7)}  ${topic.padEnd(wide)}  ${found}`,
      ...(why === null ? [] : [`${indent}why: ${why}`]),
      ...sysctls.map((line) => `${indent}change: sysctl -w ${assignment(line)}`),
      ...(change === null ? [] : [`${indent}change: ${change}`]),
    ];
  });
  const sysctls = findings.flatMap((finding) => finding.sysctls);
  if (sysctls.length > 0)
    lines.push('', 'To keep the kernel settings, in /etc/sysctl.d/90-tollgate.conf:', ...sysctls.map((line) => `  ${line}`));
  const count = (severity: string): number => findings.filter((finding) => finding.severity === severity).length;
  lines.push(
    '',
    `${count('problem')} problems, ${count('warn')} warnings, ${count('note')} notes; judged against ${config ?? 'the usual settings (name yours with --config)'}`,
  );
  return `${lines.join('\n')}\n`;
}

/** `net.core.somaxconn = 4096` as sysctl(8) takes it. */
function assignment(line: string): string {
  const [name, value] = line.split(' = ');
  return value?.includes(' ') === true ? `${name}='${value}'` : `${name}=${value}`;
}
