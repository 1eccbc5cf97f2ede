/**
 * What `tollgate check` finds on this machine that would keep a configuration from starting, from being read again, or from serving: ports,
 * addresses, the rights of its user, logs, the runtime directory, targets. Warnings all: the file may be for another machine. Changes
 * nothing; a socket is bound and closed at once, and targets are connected to without a byte.
 */
import { TollgateError } from '../base/tollgate-error.ts';
import { namedFiles } from '../config/files-of.ts';
import { type Finding, inFileOrder, type SettingPath, settingText } from '../config/findings.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Status } from '../observe/status.ts';
import type { Plan } from '../plan/plan.ts';
import { ask } from './control-client.ts';
import { logProblem, obstacle, who } from './host-files.ts';
import { type ListenHolder, listenProblem } from './host-listen.ts';
import { unreachable } from './host-targets.ts';
import { defaultRuntimeDirectory, runtimeProblem } from './runtime-directory.ts';
import { findUser, type User } from './user.ts';

/** A running instance answers within this time. Milliseconds. */
const ANSWER_MS = 3_000;

export interface HostCheckOptions {
  /** Nobody is connected to. */
  readonly offline: boolean;
  /** Where it is to run. Default: what the file says, else where a start would have it. */
  readonly runtime?: string | undefined;
}

export interface HostReport {
  readonly warnings: readonly Finding[];
  readonly notes: readonly Finding[];
}

/** Looks at the machine for `loaded`, whose plan is `plan`. */
export async function checkHost(loaded: LoadedConfig, plan: Plan, { offline, runtime }: HostCheckOptions): Promise<HostReport> {
  const { config } = loaded;
  const findings: Finding[] = [];
  const say =
    (severity: 'warning' | 'note') =>
    (path: SettingPath, message: string): void => {
      findings.push({ ...loaded.where(path), severity, setting: settingText(path), message });
    };
  const [warn, note] = [say('warning'), say('note')];

  const isRoot = process.geteuid?.() === 0;
  /** With `user`, root starts it. */
  const startedByRoot = isRoot || config.user !== undefined;
  const user = ownUser(loaded, warn);
  const directory = runtime ?? config.runtime ?? defaultRuntimeDirectory(process.env, startedByRoot ? 0 : (process.geteuid?.() ?? 0));
  const running = await runningIn(directory);
  if (running !== null) note(['runtime'], `a tollgate runs in ${directory} (pid ${running.pid}): what it has is taken for ours`);
  else {
    const problem = runtimeProblem(directory, startedByRoot ? null : (process.geteuid?.() ?? 0));
    if (problem !== null) warn(['runtime'], problem);
  }

  const isOurs = ({ pid }: ListenHolder): boolean =>
    running !== null && (pid === running.pid || running.workers.some((worker) => worker.pid === pid));
  const told = new Set<string>();
  const listens = [
    ...plan.listeners.map(({ name, address }) => ({
      address,
      path: ['listeners', config.listeners.findIndex((each) => each.name === name), 'address'],
    })),
    ...(config.admin.listen === null ? [] : [{ address: config.admin.listen, path: ['admin', 'listen'] }]),
  ];
  for (const { address, path } of listens) {
    const problem = await listenProblem(address, { isOurs, startedByRoot, user });
    if (problem === null || told.has(`${path.join()} ${problem.message}`)) continue;
    told.add(`${path.join()} ${problem.message}`);
    (problem.severity === 'note' ? note : warn)(path, problem.message);
  }
  for (const [index, { sourceAddress }] of config.upstreams.entries()) {
    for (const ip of sourceAddress) {
      const problem = await listenProblem({ family: ip.includes(':') ? 6 : 4, ip, port: 0 }, { isOurs, startedByRoot, user });
      if (problem !== null) warn(['upstreams', index, 'sourceAddress'], problem.message);
    }
  }

  for (const [log, destination] of [
    ['access', plan.accessLog?.destination],
    ['error', plan.errorLog.destination],
  ] as const) {
    if (destination === undefined) continue;
    const problem = logProblem(destination, user);
    if (problem !== null) warn(['log', log, destination.kind === 'syslog' ? 'syslog' : 'path'], problem);
  }
  if (config.user !== undefined && user !== null) rereadable(loaded, user, warn);
  if (!offline) for (const { path, message } of await unreachable(loaded, plan)) warn(path, message);

  const sorted = inFileOrder(findings);
  const of = (severity: Finding['severity']): readonly Finding[] => sorted.filter((each) => each.severity === severity);
  return { warnings: of('warning'), notes: of('note') };
}

/** Who it will be when it serves; null: that cannot be known. */
function ownUser({ config }: LoadedConfig, warn: (path: SettingPath, message: string) => void): User | null {
  if (config.user === undefined) {
    return { uid: process.geteuid!(), gid: process.getegid!(), groups: process.getgroups!() };
  }
  try {
    return findUser(config.user, config.group);
  } catch (error) {
    if (!(error instanceof TollgateError)) throw error;
    warn([error.message.startsWith('group') ? 'group' : 'user'], error.message.replace(/^(user|group): /, ''));
    return null;
  }
}

async function runningIn(directory: string): Promise<Status | null> {
  try {
    return (await ask(directory, { type: 'status' }, ANSWER_MS)).value as Status;
  } catch {
    // Nobody, or nobody who tells us: then its ports are in use by another.
    return null;
  }
}

/** Root read them; the next reload is its user's. */
function rereadable(loaded: LoadedConfig, user: User, warn: (path: SettingPath, message: string) => void): void {
  const told = new Set<string>();
  const { config, sources } = loaded;
  for (const { file, setting } of [...sources.map(({ path }) => ({ file: path, setting: [] })), ...namedFiles(config)]) {
    const closed = told.has(file) ? null : obstacle(file, user, 'read');
    told.add(file);
    if (closed === null) continue;
    const where = closed === file ? '' : `: the directory ${closed} is closed to it`;
    warn(setting, `${who(user)} may not read ${file}${where}; root can at the start, a reload could not`);
  }
}
