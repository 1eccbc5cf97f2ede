/** The cases: each gives one figure for one running contender, lower is better. What is measured is said beside it. */
import { spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Certificate, LOAD_CORE, type Mode, type Running } from './contenders.ts';
import { cpuSeconds, memoryBytes, runToEnd } from './process.ts';
import { percentile, readH2loadLog, readWrk } from './statistics.ts';

export interface Setting {
  readonly directory: string;
  /** What clients show where they must. */
  readonly client: Pick<Certificate, 'chain' | 'key'>;
  /** Seconds of load for one figure. */
  readonly seconds: number;
  /** Requests a second that nginx does at most here, for the open loop; measured first. */
  nginxTop: number;
}

export interface Case {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly certificate: 'p256' | 'rsa2048';
  /** Default: http. Contenders without that mode are left out. */
  readonly mode?: Mode;
  /** The ratio to nginx that is the goal, or null. */
  readonly goal: number | null;
  /** Each round has processes of its own, all contenders' at the same time: for what does not depend on CPU. */
  readonly fresh?: true;
  /** A first, unmeasured load: code is compiled, pools are filled. The same for every contender. */
  warm(running: Running, setting: Setting): Promise<void>;
  measure(running: Running, setting: Setting): Promise<number>;
  /** Behind the last round. */
  cool?(running: Running): Promise<void>;
}

const CLIENT = fileURLToPath(new URL('./tls-client.ts', import.meta.url));

/** `host` is the name that wrk asks for in its hello, too. */
async function wrk(running: Running, path: string, connections: number, seconds: number, more: readonly string[] = [], host = '127.0.0.1') {
  const url = `https://${host}:${running.port}${path}`;
  const args = ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '30s', ...more, url];
  return readWrk(await runToEnd(LOAD_CORE, args, (seconds + 60) * 1_000));
}

/**
 * Load before that which counts. A virtual machine compiles what it runs often: with 4 s the small request had 0.81 of nginx's CPU, with 15 s
 * 0.76, in two runs one behind the other. Seconds.
 */
const WARM_S = 12;

/** CPU of the proxy for each request of a closed loop. */
function perRequest(
  name: string,
  title: string,
  goal: number | null,
  path: string,
  connections: number,
  options: Partial<Case> & { more?: readonly string[]; scale?: number } = {},
): Case {
  const more = options.more ?? [];
  const host = options.mode === 'passthrough' ? 'localhost' : '127.0.0.1';
  return {
    name,
    title,
    unit: options.unit ?? 'us',
    certificate: options.certificate ?? 'p256',
    mode: options.mode ?? 'http',
    goal,
    warm: async (running) => void (await wrk(running, path, connections, WARM_S, more, host)),
    measure: async (running, setting) => {
      const pids = running.pids();
      const before = cpuSeconds(pids);
      const { requests } = await wrk(running, path, connections, setting.seconds, more, host);
      return ((cpuSeconds(pids) - before) / requests) * (options.scale ?? 1e6);
    },
  };
}

interface Handshakes {
  readonly handshakes: number;
  readonly resumed: number;
}

async function client(
  mode: 'full' | 'resumed' | 'echo',
  running: Running,
  count: number,
  parallel: number,
  own: readonly string[] = [],
): Promise<Handshakes> {
  const args = [process.execPath, CLIENT, mode, String(running.port), String(count), String(parallel), ...own];
  return JSON.parse(await runToEnd(LOAD_CORE, args, 180_000)) as Handshakes;
}

/**
 * Handshakes before those that count, and those of a round. A virtual machine compiles what it runs often: the first thousands cost ours half
 * as much again, and what a proxy costs in its first ten seconds is no answer to what it costs.
 */
const WARM_HANDSHAKES = 12_000;
const HANDSHAKES = 3_000;

/** Full handshakes, by a client of our own: wrk keeps its session over a close, and would resume it. */
function fullCase(name: string, title: string, goal: number | null, certificate: Case['certificate'], mode: Mode = 'http'): Case {
  const own = ({ client: { chain, key } }: Setting): readonly string[] => (mode === 'mutual' ? [chain, key] : []);
  return {
    name,
    title,
    unit: 'us',
    certificate,
    mode,
    goal,
    warm: async (running, setting) => void (await client('full', running, WARM_HANDSHAKES, 8, own(setting))),
    measure: async (running, setting) => {
      const pids = running.pids();
      const before = cpuSeconds(pids);
      const { handshakes, resumed } = await client('full', running, HANDSHAKES, 8, own(setting));
      if (resumed > 0) throw new Error(`${resumed} of ${handshakes} handshakes were resumed`);
      return ((cpuSeconds(pids) - before) / handshakes) * 1e6;
    },
  };
}

const resumedCase: Case = {
  name: 'handshake-resumed',
  title: 'resumed TLS 1.3 handshake, one request each',
  unit: 'us',
  certificate: 'p256',
  goal: 0.7,
  warm: async (running) => void (await client('resumed', running, WARM_HANDSHAKES, 8)),
  measure: async (running) => {
    const pids = running.pids();
    const before = cpuSeconds(pids);
    const { handshakes, resumed } = await client('resumed', running, HANDSHAKES, 8);
    if (resumed < handshakes * 0.95) throw new Error(`only ${resumed} of ${handshakes} handshakes were resumed`);
    return ((cpuSeconds(pids) - before) / handshakes) * 1e6;
  },
};

/** Connections for the idle case: those who come first, and those who are counted. Each makes one request. */
const IDLE_BEFORE = 2_000;
const IDLE = 4_000;
/** Quiet time before a look: long enough for every program to give back what it will. Milliseconds. */
const IDLE_REST_MS = 12_000;

const idleCase: Case = {
  name: 'idle-memory',
  title: 'idle TLS connection, all processes (PSS)',
  unit: 'KiB',
  certificate: 'p256',
  goal: null,
  // What an earlier crowd has left behind would hide what the next one costs.
  fresh: true,
  warm: async (running) => void (await client('full', running, 100, 4)),
  // From one crowd to a greater one: what a program sheds of its start when the first crowd comes would hide what connections cost.
  measure: async (running) => {
    const first = await gather(running, IDLE_BEFORE);
    await rest();
    const before = memoryBytes(running.pids());
    const second = await gather(running, IDLE);
    await rest();
    const bytes = memoryBytes(running.pids()) - before;
    await Promise.all([first.leave(), second.leave()]);
    return bytes / IDLE / 1_024;
  },
};

async function rest(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, IDLE_REST_MS));
}

interface Crowd {
  leave(): Promise<void>;
}

/** Connections that each make a request, and then stay until they are told to leave. */
async function gather(running: Running, count: number): Promise<Crowd> {
  const args = ['-c', String(LOAD_CORE), process.execPath, CLIENT, 'idle', String(running.port), String(count), '20'];
  const child = spawn('taskset', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`the idle load ended with ${code}`)));
  });
  return {
    leave: async () => {
      child.removeAllListeners('exit');
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.stdin.end();
      await gone;
    },
  };
}

/** Idle connections beside the load. */
const CROWD = 5_000;
const crowds = new WeakMap<Running, Crowd>();

const crowdedCase: Case = {
  ...perRequest('connections-5000', 'keep-alive request, 68 B, beside 5,000 idle connections', null, '/', 64),
  warm: async (running) => {
    crowds.set(running, await gather(running, CROWD));
    await wrk(running, '/', 64, WARM_S);
  },
  cool: async (running) => await crowds.get(running)?.leave(),
};

/** Share of nginx's top rate at which latency is measured. */
const OPEN_LOOP_SHARE = 0.6;
const OPEN_LOOP_CLIENTS = 64;

/** Durations of an open loop: h2load sends by the clock, whatever the answers do; each request's time counts from when it was sent. */
async function openLoop(running: Running, setting: Setting): Promise<number[]> {
  const log = join(setting.directory, 'h2load.log');
  const rps = Math.max(1, Math.floor((setting.nginxTop * OPEN_LOOP_SHARE) / OPEN_LOOP_CLIENTS));
  const args = [
    'h2load',
    '--h1',
    '-t1',
    `-c${OPEN_LOOP_CLIENTS}`,
    `--rps=${rps}`,
    `--duration=${setting.seconds + 2}`,
    '--warm-up-time=1',
    `--log-file=${log}`,
  ];
  writeFileSync(log, '');
  await runToEnd(LOAD_CORE, [...args, `https://127.0.0.1:${running.port}/`], (setting.seconds + 60) * 1_000);
  const durations = readH2loadLog(readFileSync(log, 'utf8'));
  rmSync(log);
  return durations;
}

function latencyCase(name: string, share: number, goal: number | null): Case {
  return {
    name,
    title: `latency at 60 % of nginx's top rate, p${share * 100}`,
    unit: 'us',
    certificate: 'p256',
    goal,
    warm: async (running) => void (await wrk(running, '/', 64, WARM_S)),
    measure: async (running, setting) => percentile(await openLoop(running, setting), share),
  };
}

/** Messages and tunnels of the echo case. */
const ECHOES = 40_000;
const TUNNELS = 64;

const echoCase: Case = {
  name: 'websocket-echo',
  title: 'WebSocket message of 128 B, there and back',
  unit: 'us',
  certificate: 'p256',
  goal: null,
  warm: async (running) => void (await client('echo', running, ECHOES, TUNNELS)),
  measure: async (running) => {
    const pids = running.pids();
    const before = cpuSeconds(pids);
    await client('echo', running, ECHOES, TUNNELS);
    return ((cpuSeconds(pids) - before) / ECHOES) * 1e6;
  },
};

/** Body of an upload. Bytes. */
const UPLOAD_BYTES = 1 << 20;

const uploadCase: Case = {
  ...perRequest('upload', 'upload of 1 MiB bodies, CPU per GB', null, '/', 16),
  unit: 's',
  warm: async (running, setting) => void (await wrk(running, '/upload', 16, WARM_S, ['-s', uploadScript(setting)])),
  measure: async (running, setting) => {
    const pids = running.pids();
    const before = cpuSeconds(pids);
    const { requests } = await wrk(running, '/upload', 16, setting.seconds, ['-s', uploadScript(setting)]);
    return (cpuSeconds(pids) - before) / ((requests * UPLOAD_BYTES) / 1e9);
  },
};

function uploadScript(setting: Setting): string {
  const path = join(setting.directory, 'upload.lua');
  writeFileSync(path, `wrk.method = "POST"\nwrk.body = string.rep("x", ${UPLOAD_BYTES})\n`);
  return path;
}

const BULK = { unit: 's', scale: 1e9 / 1_048_576 };

export const CASES: readonly Case[] = [
  idleCase,
  perRequest('keepalive-small', 'keep-alive request, 68 B', 0.85, '/', 64),
  perRequest('keepalive-16k', 'keep-alive request, 16 KiB', 0.85, '/16k', 64),
  perRequest('bulk-1m', 'bulk, 1 MiB bodies, CPU per GB', 0.75, '/1m', 16, BULK),
  fullCase('handshake-p256', 'full TLS 1.3 handshake, ECDSA P-256, one request each', 0.6, 'p256'),
  fullCase('handshake-rsa2048', 'full TLS 1.3 handshake, RSA-2048, one request each', 0.8, 'rsa2048'),
  fullCase('handshake-client-certificate', 'full TLS 1.3 handshake, both sides ECDSA P-256, one request each', null, 'p256', 'mutual'),
  resumedCase,
  crowdedCase,
  uploadCase,
  echoCase,
  perRequest('tcp-bulk', 'TLS carried as plain TCP, 1 MiB at a time, CPU per GB', null, '/1m', 16, { ...BULK, mode: 'tcp' }),
  perRequest('tcp-small', 'TLS carried as plain TCP, 68 B at a time, there and back', null, '/', 64, { mode: 'tcp' }),
  perRequest('passthrough-bulk', 'TLS passed through by name, 1 MiB at a time, CPU per GB', null, '/1m', 16, {
    ...BULK,
    mode: 'passthrough',
  }),
  latencyCase('latency-p50', 0.5, null),
  latencyCase('latency-p99', 0.99, 1.2),
];
