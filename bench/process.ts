/** Processes under measurement: their tree, their CPU time, their memory. Linux's /proc. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';

/** `pid` and every process below it. */
export function processTree(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {
      // It ended while we looked.
    }
  }
  const tree: number[] = [];
  const visit = (each: number): void => {
    tree.push(each);
    for (const child of children.get(each) ?? []) visit(child);
  };
  visit(pid);
  return tree;
}

/**
 * User and system time of `pids`, all their threads, in seconds. From schedstat: nanoseconds. Threads that end take their time with them,
 * so it is for programs whose threads live as long as the measurement: those measured here do.
 */
export function cpuSeconds(pids: readonly number[]): number {
  let ns = 0;
  for (const pid of pids) {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      ns += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
    }
  }
  return ns / 1e9;
}

/** Memory that is these processes' own, shared pages counted by their share (PSS). Bytes. */
export function memoryBytes(pids: readonly number[]): number {
  let bytes = 0;
  for (const pid of pids) {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    bytes += Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1_024;
  }
  return bytes;
}

const running = new Set<ChildProcess>();

/** Starts `command` on one core, its output in `log`. Everything started is ended by `endAll`. */
export function start(core: number, command: readonly string[], log: string): ChildProcess {
  const fd = openSync(log, 'a');
  const child = spawn('taskset', ['-c', String(core), ...command], { stdio: ['ignore', fd, fd] });
  closeSync(fd);
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** Runs `command` on one core to its end. Its standard output; throws with its error output when it fails. */
export async function runToEnd(core: number, command: readonly string[], timeoutMs: number): Promise<string> {
  const child = spawn('taskset', ['-c', String(core), ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let out = '';
  let error = '';
  child.stdout.on('data', (data) => {
    out += String(data);
  });
  child.stderr.on('data', (data) => {
    error += String(data);
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  clearTimeout(timer);
  running.delete(child);
  if (code !== 0) throw new Error(`${command.join(' ')} failed (${code}): ${error.slice(0, 500) || out.slice(-500)}`);
  return out;
}

export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await gone;
  clearTimeout(timer);
}

export async function endAll(): Promise<void> {
  await Promise.all([...running].map(end));
}
