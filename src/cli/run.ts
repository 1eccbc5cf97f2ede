/** `tollgate run`: from a configuration file, from two addresses, or as a demo that needs neither. */
import type { Server } from 'node:http';
import { dataDirectory, stateDirectory } from '../certs/data-directory.ts';
import { localCertificate, trustHint } from '../certs/local-ca.ts';
import { freePort } from '../config/free-port.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { quickConfig } from '../config/quick.ts';
import { openDemoOrigin } from '../control/demo-origin.ts';
import { History } from '../control/history.ts';
import { Instance } from '../control/instance.ts';
import { answers, controlSocketPath, defaultRuntimeDirectory } from '../control/runtime-directory.ts';
import { ErrorLog, type Log } from '../observe/log.ts';
import { addressText } from '../plan/plan.ts';
import { me } from './author.ts';

export interface RunOptions {
  readonly config?: string;
  readonly from?: string;
  readonly to?: string;
  readonly runtime?: string;
  /** Set by the supervisor that is to be succeeded. */
  readonly succeed?: boolean;
}

const HTTPS_PORT = 8_443;
const ADMIN_PORT = 9_901;
/** How who reads it here calls us: a checkout has no `tollgate` in PATH. */
const OWN_CALL = import.meta.url.endsWith('.ts') ? 'npm start --' : 'tollgate run';

/** Runs until it is stopped. Throws what kept it from starting. */
export async function run(options: RunOptions): Promise<void> {
  const errorLog = new ErrorLog();
  const { log } = errorLog;
  let origin: Server | null = null;
  let loaded: LoadedConfig;
  let greeting: ((instance: Instance) => string) | null = null;
  let runtimeDirectory = options.runtime;
  let history: History | null = null;
  if (options.config !== undefined) {
    history = new History(stateDirectory(), options.config);
    loaded = await startingConfig(options.config, history, log);
    runtimeDirectory ??= loaded.config.runtime ?? defaultRuntimeDirectory();
  } else {
    const certificate = await localCertificate(dataDirectory());
    let to = options.to;
    if (to === undefined) {
      const demo = await openDemoOrigin();
      origin = demo.server;
      to = `127.0.0.1:${demo.port}`;
    }
    const from = options.from ?? `localhost:${await freePort(HTTPS_PORT)}`;
    loaded = quickConfig({ from, to, certificate, admin: `127.0.0.1:${await freePort(ADMIN_PORT)}` });
    runtimeDirectory ??= await quickRuntimeDirectory();
    const runtime = runtimeDirectory;
    greeting = (instance) =>
      quickGreeting(instance, loaded, { caPath: certificate.caPath, made: certificate.made, demo: origin !== null, to, runtime });
  }
  const nodeFlags = (process.env.TOLLGATE_NODE_FLAGS ?? '').split(' ').filter((flag) => flag !== '');
  let instance: Instance | null = null;
  let asked = false;
  // Before anything is started: a signal that comes early must not leave workers behind.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      asked = true;
      void instance?.stop();
    });
  }
  process.on('SIGHUP', () => {
    instance
      ?.reload(me('SIGHUP'))
      .catch((error: unknown) => log.error({ reason: error instanceof Error ? error.message : String(error) }, 'nothing was changed'));
  });
  try {
    const file = options.config ?? null;
    instance = await Instance.prepare({
      loaded,
      runtimeDirectory,
      log,
      errorLog,
      nodeFlags,
      file,
      history,
      author: me(options.succeed === true ? 'upgrade' : 'start'),
      succeeds: options.succeed === true,
      command: commandLine(runtimeDirectory),
    });
    if (asked) void instance.stop();
    if (await instance.start()) {
      const addresses = instance.plan.listeners.map((listener) => addressText(listener.address));
      if (greeting !== null) process.stdout.write(greeting(instance));
      else log.info({ pid: process.pid, listeners: addresses, runtime: runtimeDirectory }, 'tollgate serves');
    }
  } catch (error) {
    origin?.close();
    throw error;
  }
  await instance.ended;
  origin?.closeAllConnections();
  origin?.close();
  if (greeting === null) log.info('tollgate has ended');
}

/**
 * The configuration to begin with: the file's, unless a trial was under way that nobody had confirmed when the last supervisor ended; then
 * the one before it.
 */
async function startingConfig(file: string, history: History, log: Log): Promise<LoadedConfig> {
  const { trial } = history;
  if (trial === null) return await loadConfig(file);
  const back = history.find(trial.back);
  history.endTrial();
  if (back === null) return await loadConfig(file);
  log.warn(
    { tried: trial.id, runs: back.id, file },
    'nobody had confirmed the configuration that was tried: the one before it runs, whatever the file says',
  );
  return await loadConfig(back.file, back.sources);
}

/** As this process was started, for the next version of it. */
function commandLine(runtimeDirectory: string): readonly string[] {
  const given = process.argv.slice(1).filter((each) => each !== '--succeed');
  return given.includes('--runtime') ? given : [...given, '--runtime', runtimeDirectory];
}

/** Two demos can run side by side: the second lives beside the first. */
async function quickRuntimeDirectory(): Promise<string> {
  const directory = defaultRuntimeDirectory();
  return (await answers(controlSocketPath(directory))) ? `${directory}-${process.pid}` : directory;
}

interface Quick {
  readonly caPath: string;
  readonly made: boolean;
  readonly demo: boolean;
  readonly to: string;
  readonly runtime: string;
}

function quickGreeting(instance: Instance, loaded: LoadedConfig, quick: Quick): string {
  const listener = instance.plan.listeners[0];
  const port = listener !== undefined && listener.address.family !== 0 ? listener.address.port : HTTPS_PORT;
  const hint = trustHint(quick.caPath, port);
  const { listen } = loaded.config.admin;
  const stop = quick.runtime === defaultRuntimeDirectory() ? 'tollgate stop' : `tollgate stop --runtime ${quick.runtime}`;
  const lines = [
    '',
    `  Tollgate serves https://localhost:${port}/ and forwards to ${quick.demo ? 'a small demo server' : quick.to}.`,
    '',
    `  Try it:          ${hint.curl}`,
    `  Trust it here:   ${hint.system}`,
    `  In a browser:    ${hint.browser}`,
    ...(quick.demo ? [`  Your own server: ${OWN_CALL} --from :${port} --to 127.0.0.1:3000`] : []),
    ...(listen === null ? [] : [`  Watch it:        curl http://${addressText(listen)}/metrics   (also /status, /healthz, /readyz)`]),
    `  Stop it:         Ctrl-C, or ${stop}`,
    '',
    `  ${quick.made ? 'Made' : 'Using'} the local certificate authority ${quick.caPath}; access log below.`,
    '',
    '',
  ];
  return lines.join('\n');
}
