/** The real program under test: started from a configuration, watched, and always ended. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { livingWorkers, startTimeOf } from '../../src/control/process-identity.ts';
import type { Status } from '../../src/observe/status.ts';
import { leaf } from './certificates.ts';
import { testPort } from './test-port.ts';

export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url));
export const PROGRAM: string = join(ROOT, 'bin/tollgate.js');
/** Set by `npm run test:long`. */
export const LONG: boolean = process.env.TOLLGATE_TEST_LONG === '1';

const START_MS = 60_000;

export interface TollgateOptions {
  /** Configuration, with `PORT` where the main listener's port goes. Default: TLS for localhost in front of `to`. */
  readonly config?: string;
  /** Port of the origin on 127.0.0.1, for the default configuration. */
  readonly to?: number;
  readonly workers?: number;
  /** The `log` section, in place of JSON to access.log. */
  readonly log?: string;
  /** The default configuration without TLS. */
  readonly plain?: boolean;
  /** Settings of the default listener's `tls`, beside its certificates: `engine: openssl`. */
  readonly tls?: string;
  /** Lines added to the default configuration. */
  readonly extra?: string;
  /** Default: PROGRAM. */
  readonly program?: string;
  /** Flags for the workers' node. */
  readonly nodeFlags?: string;
  /** What start waits for. Default `readyz`. */
  readonly path?: 'readyz' | 'healthz';
  /** Command in front of the program: what runs it under some restriction. */
  readonly under?: readonly string[];
  /** Where everything of it lives; left alone at the end. Default: a directory of its own. */
  readonly directory?: string;
  /** More of the environment. */
  readonly environment?: Readonly<Record<string, string>>;
}

export class Tollgate {
  readonly port: number;
  readonly adminPort: number;
  readonly directory: string;
  child: ChildProcess;
  output = '';
  errors = '';
  /** Supervisors that took the place of the first: to be ended with it. */
  readonly successors: number[] = [];
  readonly #start: () => ChildProcess;

  private constructor(port: number, adminPort: number, directory: string, start: () => ChildProcess) {
    this.port = port;
    this.adminPort = adminPort;
    this.directory = directory;
    this.#start = start;
    this.child = this.#run();
  }

  #run(): ChildProcess {
    const child = this.#start();
    child.stdout?.on('data', (data) => {
      this.output += String(data);
    });
    child.stderr?.on('data', (data) => {
      this.errors += String(data);
    });
    return child;
  }

  /** Starts the program again, once it has ended, and waits until it is ready. */
  async restart(): Promise<void> {
    this.child = this.#run();
    await this.answers('readyz');
  }

  /** Starts it and waits until it is ready. Ended when the test is. */
  static async start(test: TestContext, options: TollgateOptions): Promise<Tollgate> {
    const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'tollgate-test-'));
    const port = await testPort();
    const adminPort = await testPort();
    const path = join(directory, 'tollgate.yaml');
    writeFileSync(path, head(directory, adminPort, options) + (options.config ?? standard(options)).replaceAll('PORT', String(port)));
    const { nodeFlags = '', environment, under = [] } = options;
    const words = [...under.slice(1), ...(under.length > 0 ? [process.execPath] : []), options.program ?? PROGRAM, 'run', '--config', path];
    const start = (): ChildProcess =>
      spawn(under[0] ?? process.execPath, words, {
        stdio: ['ignore', 'pipe', 'pipe'],
        cwd: directory,
        env: { ...process.env, TOLLGATE_NODE_FLAGS: nodeFlags, TOLLGATE_DATA: join(directory, 'data'), ...environment },
      });
    const tollgate = new Tollgate(port, adminPort, directory, start);
    test.after(async () => {
      await tollgate.end();
      if (options.directory === undefined) rmSync(directory, { recursive: true, force: true });
    });
    await tollgate.answers(options.path ?? 'readyz');
    return tollgate;
  }

  /** Waits for 200 from the admin address. */
  async answers(path: string): Promise<void> {
    await until(async () => {
      if (this.child.exitCode !== null) throw new Error(`tollgate ended with ${this.child.exitCode}: ${this.errors}`);
      return await fetch(`http://127.0.0.1:${this.adminPort}/${path}`).then(
        (answer) => answer.ok,
        () => false,
      );
    }, START_MS);
  }

  async status(): Promise<Status> {
    return (await (await fetch(`http://127.0.0.1:${this.adminPort}/status`)).json()) as Status;
  }

  /** Samples of /metrics by name and labels as written: `tollgate_requests_total`, `tollgate_responses_total{class="2xx"}`. */
  async metrics(): Promise<Map<string, number>> {
    const text = await (await fetch(`http://127.0.0.1:${this.adminPort}/metrics`)).text();
    const samples = new Map<string, number>();
    for (const line of text.split('\n')) {
      const at = line.lastIndexOf(' ');
      if (at > 0 && !line.startsWith('#')) samples.set(line.slice(0, at), Number(line.slice(at + 1)));
    }
    return samples;
  }

  /** Lines of the access log so far, parsed: each must be one object of JSON. */
  accessLog(): Record<string, unknown>[] {
    const path = join(this.directory, 'access.log');
    if (!existsSync(path)) return [];
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Handshake failures told on standard error so far. */
  handshakes(): Record<string, unknown>[] {
    return this.errors
      .split('\n')
      .filter((line) => line.includes('"event":"handshake"'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  command(...args: readonly string[]): string {
    return execFileSync(process.execPath, [PROGRAM, ...args], { encoding: 'utf8', timeout: 30_000 });
  }

  /** Exit code and signal, once it has ended. */
  async ended(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    if (this.child.exitCode === null && this.child.signalCode === null) await new Promise((resolve) => this.child.once('exit', resolve));
    return { code: this.child.exitCode, signal: this.child.signalCode };
  }

  async end(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGTERM');
      const hurry = setTimeout(() => this.child.kill('SIGTERM'), 1_000);
      const last = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
      await this.ended();
      clearTimeout(hurry);
      clearTimeout(last);
    }
    // What a killed supervisor leaves behind serves on.
    const others = [...this.successors, ...livingWorkers(join(this.directory, 'run')).map(({ pid }) => pid)];
    for (const pid of others) if (startTimeOf(pid) !== null) process.kill(pid, 'SIGKILL');
  }
}

function head(directory: string, adminPort: number, { workers = 1, log }: TollgateOptions): string {
  return `admin: { listen: "127.0.0.1:${adminPort}" }
workers: ${workers}
runtime: ${directory}/run
log:
  ${log ?? `access: { path: ${directory}/access.log, format: json }`}
`;
}

function standard({ to, extra = '', plain = false, tls = 'engine: auto' }: TollgateOptions): string {
  const { certificate, key } = leaf(['localhost']);
  return `${extra}
listeners:
  - name: web
    address: 127.0.0.1:PORT
    ${plain ? '' : `tls: { ${tls}, certificates: [{ certificate: ${certificate}, key: ${key} }] }`}
    routes: [{ to: origin }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:${to ?? 1}"] }
`;
}

/** Waits for `condition`; throws after `ms`. */
export async function until(condition: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> {
  const end = Date.now() + ms;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Descriptors a process has open. */
export function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Resident memory of a process. Bytes. */
export function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1_024;
}
