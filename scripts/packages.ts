/**
 * The programs that the end-to-end tests run Tollgate against, and the Debian packages that bring them.
 *
 * Owns their installation: as root on Debian it happens without a question; elsewhere one sentence names what is missing. Tests never
 * skip because a program is not there.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface NeededProgram {
  readonly command: string;
  /** Debian's name of the package. */
  readonly package: string;
  /** A file that tells whether it is there, for what is no program of its own. */
  readonly file?: string;
}

export const NEEDED_PROGRAMS: readonly NeededProgram[] = Object.freeze([
  { command: 'curl', package: 'curl' },
  { command: 'openssl', package: 'openssl' },
  { command: 'nginx', package: 'nginx' },
  { command: 'nginx (stream)', package: 'libnginx-mod-stream', file: '/usr/lib/nginx/modules/ngx_stream_module.so' },
  { command: 'haproxy', package: 'haproxy' },
  { command: 'hitch', package: 'hitch' },
  { command: 'wrk', package: 'wrk' },
  { command: 'h2load', package: 'nghttp2-client' },
  { command: 'ab', package: 'apache2-utils' },
  { command: 'htpasswd', package: 'apache2-utils' },
  { command: 'apache2', package: 'apache2' },
  { command: 'caddy', package: 'caddy' },
  { command: 'gunicorn', package: 'gunicorn' },
  { command: 'ps', package: 'procps' },
  { command: 'ss', package: 'iproute2' },
  { command: 'ip', package: 'iproute2' },
  { command: 'taskset', package: 'util-linux' },
  { command: 'prlimit', package: 'util-linux' },
  { command: 'unshare', package: 'util-linux' },
  { command: 'faketime', package: 'faketime' },
  { command: 'tmux', package: 'tmux' },
  { command: 'promtool', package: 'prometheus' },
  { command: 'zsh', package: 'zsh' },
  { command: 'fish', package: 'fish' },
  { command: 'groff', package: 'groff-base' },
  { command: 'systemd-analyze', package: 'systemd' },
  { command: 'java', package: 'openjdk-17-jdk-headless' },
  { command: 'gnutls-cli', package: 'gnutls-bin' },
  { command: 'python3', package: 'python3' },
  { command: 'chromium', package: 'chromium' },
  { command: 'certutil', package: 'libnss3-tools' },
  { command: 'testssl', package: 'testssl.sh' },
]);

/** Servers live in sbin, which an ordinary user's PATH leaves out. */
const SBIN = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** Where `command` is, or null. */
export function findProgram(command: string, path: string = process.env.PATH ?? ''): string | null {
  for (const folder of [...path.split(delimiter).filter((entry) => entry !== ''), ...SBIN]) {
    const file = join(folder, command);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not in this one.
    }
  }
  return null;
}

/** The packages that must be installed for `programs`, sorted, each once. */
export function missingPackages(programs: readonly NeededProgram[] = NEEDED_PROGRAMS, path?: string): string[] {
  const missing = programs.filter(({ command, file }) => (file === undefined ? findProgram(command, path) === null : !existsSync(file)));
  return [...new Set(missing.map((program) => program.package))].sort();
}

/** Why `packages` cannot be installed by us, in one sentence that says what to do; null when they can. */
export function installationObstacle(packages: readonly string[], isRoot: boolean, hasApt: boolean): string | null {
  const wanted = packages.join(' ');
  if (!hasApt) return `the tests need these programs, by their Debian packages, and there is no apt-get here: ${wanted}`;
  return isRoot ? null : `the tests need programs that are not installed: sudo apt-get install ${wanted}`;
}

/** Installs `packages` with apt-get, starting none of the services they bring. Throws an Error that ends in apt's own words. */
export function installPackages(packages: readonly string[]): void {
  const unguard = guardServices();
  try {
    apt(['update']);
    apt(['install', '--yes', '--no-install-recommends', ...packages]);
  } finally {
    unguard();
  }
  const still = missingPackages(NEEDED_PROGRAMS.filter((program) => packages.includes(program.package)));
  if (still.length > 0) throw new Error(`apt-get installed ${still.join(' ')}, and the programs are still not there`);
}

/** One of Debian's mirrors may be slow or another apt running: both are waited for, within bounds. */
const APT_OPTIONS = ['--quiet', '-o', 'Acquire::Retries=3', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0'];
const APT_MS_MAX = 900_000;
const APT_OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

function apt(args: readonly string[]): void {
  const result = spawnSync('apt-get', [...APT_OPTIONS, ...args], {
    // Without systemd, invoke-rc.d starts nothing in runlevel 1.
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8', RUNLEVEL: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    timeout: APT_MS_MAX,
    maxBuffer: APT_OUTPUT_BYTES_MAX,
  });
  if (result.status === 0) return;
  const words = `${result.stdout ?? ''}${result.stderr ?? ''}`.trim().split('\n').slice(-20).join('\n');
  throw new Error(`apt-get ${args.join(' ')} failed (${result.error?.message ?? result.signal ?? result.status})\n${words}`);
}

const POLICY = '/usr/sbin/policy-rc.d';

/**
 * Keeps packages from starting their services: nginx would take port 80. Under systemd only Debian's policy file does that; an
 * administrator's own is left in charge. Gives the function that takes it away again.
 */
function guardServices(): () => void {
  if (!existsSync('/run/systemd/system') || existsSync(POLICY)) return () => {};
  writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755, flag: 'wx' });
  // An interrupt ends apt-get, whose failure then ends us: by the way that takes the file along.
  const ignore = () => {};
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, ignore);
  return () => {
    rmSync(POLICY, { force: true });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.removeListener(signal, ignore);
  };
}
