/**
 * The shipped unit under systemd itself, as the first process of namespaces of its own: kill mode, descriptor store, watchdog, sandbox and
 * socket unit as they are. Part of `npm run test:long` alone, as root: it takes mounts and control groups, which not every machine gives.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { leaf } from './support/certificates.ts';
import { exchange } from './support/client.ts';
import { ledger, Tunnels } from './support/ledger.ts';
import { echoOrigin } from './support/site.ts';
import { testPort } from './support/test-port.ts';
import { ROOT, until } from './support/tollgate.ts';

const CLOSE = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
/** systemd asks for these; the real ones would start a machine. */
const TARGETS = ['basic', 'sysinit', 'shutdown', 'umount', 'network-online', 'nss-lookup', 'sockets', 'multi-user'];

/** systemd with the shipped units, the packed program in /usr/local and a configuration in /etc/tollgate. Nothing outside changes. */
class RealSystemd {
  readonly port: number;
  #pid = 0;

  private constructor(port: number) {
    this.port = port;
  }

  static async boot(t: TestContext, origin: number): Promise<RealSystemd> {
    const folder = mkdtempSync(join(tmpdir(), 'tollgate-systemd-real-'));
    const systemd = new RealSystemd(await testPort());
    const units = join(folder, 'units');
    for (const each of ['units', 'etc', 'prefix', 'layer']) mkdirSync(join(folder, each));
    chmodSync(folder, 0o755);
    for (const name of TARGETS) writeFileSync(join(units, `${name}.target`), `[Unit]\nDescription=${name}\nDefaultDependencies=no\n`);
    cpSync(join(ROOT, 'examples/tollgate.service'), join(units, 'tollgate.service'));
    const socket = readFileSync(join(ROOT, 'examples/tollgate.socket'), 'utf8').replace(/^ListenStream=80\n/m, '');
    assert.match(socket, /^ListenStream=443$/m);
    writeFileSync(join(units, 'tollgate.socket'), socket.replace('ListenStream=443', `ListenStream=127.0.0.1:${systemd.port}`));
    const { certificate, key } = leaf(['localhost']);
    cpSync(certificate, join(folder, 'etc/shop.pem'));
    cpSync(key, join(folder, 'etc/shop.key'));
    writeFileSync(
      join(folder, 'etc/tollgate.yaml'),
      `admin: { listen: off }
workers: 2
log: { access: { path: /var/log/tollgate/access.log } }
listeners:
  - { name: web, address: "127.0.0.1:${systemd.port}", tls: { certificates: [{ certificate: shop.pem, key: shop.key }] }, routes: [{ to: origin }] }
upstreams: [{ name: origin, targets: ["127.0.0.1:${origin}"] }]
`,
    );
    execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: ROOT });
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const install = ['install', '--silent', '--global', '--prefix', join(folder, 'prefix'), join(folder, `tollgate-${version}.tgz`)];
    execFileSync('npm', install, { cwd: folder });
    writeFileSync(
      join(folder, 'boot.sh'),
      `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs ${folder}/layer
mkdir ${folder}/layer/changes ${folder}/layer/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=${folder}/layer/changes,workdir=${folder}/layer/work /etc
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /var/log
getent passwd tollgate > /dev/null || useradd --system --user-group --no-create-home --shell /usr/sbin/nologin tollgate
mkdir -p /etc/tollgate /usr/local/bin /usr/local/lib
cp ${folder}/etc/* /etc/tollgate
chown -R root:tollgate /etc/tollgate
chmod -R g+rX,o= /etc/tollgate
mount --bind ${folder}/prefix/bin /usr/local/bin
mount --bind ${folder}/prefix/lib /usr/local/lib
[ -e /usr/bin/node ] || touch /usr/bin/node
mount --bind ${process.execPath} /usr/bin/node
export container=other SYSTEMD_UNIT_PATH=${units}
exec ${systemdProgram()} --system --unit=basic.target --log-target=null --show-status=no
`,
    );
    const namespaces = ['--fork', '--pid', '--mount', '--mount-proc', '--uts', '--ipc', '--cgroup', '--kill-child'];
    const child = spawn('unshare', [...namespaces, '/bin/sh', join(folder, 'boot.sh')], { stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (data) => {
      errors += String(data);
    });
    t.after(async () => {
      if (child.exitCode === null) {
        child.kill('SIGKILL');
        await new Promise((resolve) => child.once('exit', resolve));
      }
      rmSync(folder, { recursive: true, force: true });
    });
    await until(() => {
      assert.equal(child.exitCode, null, errors);
      systemd.#pid = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim());
      return systemd.#pid > 0 && systemd.#answers();
    }, 20_000);
    return systemd;
  }

  #answers(): boolean {
    try {
      return this.ctl('is-active', 'basic.target') === 'active';
    } catch {
      return false;
    }
  }

  /** Runs a command where systemd is the first process. What it printed. */
  run(...command: readonly string[]): string {
    const args = ['--target', String(this.#pid), '--mount', '--pid', '--uts', '--ipc', ...command];
    return execFileSync('nsenter', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  }

  ctl(...args: readonly string[]): string {
    return this.run('systemctl', ...args);
  }

  tollgate(...args: readonly string[]): string {
    return this.run('/usr/local/bin/tollgate', ...args, '--runtime', '/run/tollgate');
  }

  show(property: string): string {
    return this.ctl('show', 'tollgate', '--value', '--property', property);
  }

  /** Waits until another process than `pid` is the service's, and is ready. */
  async replaced(pid: string, ms = 20_000): Promise<void> {
    await until(() => this.show('MainPID') !== pid && this.show('ActiveState') === 'active' && this.show('SubState') === 'running', ms);
  }
}

function systemdProgram(): string {
  return join(dirname(dirname(execFileSync('which', ['systemd-analyze'], { encoding: 'utf8' }))), 'lib/systemd/systemd');
}

test('the shipped unit under systemd: reload, kill, upgrade, a hung supervisor and a restart cost no request and no tunnel', async (t) => {
  const origin = await echoOrigin(t);
  const systemd = await RealSystemd.boot(t, origin.port);
  const { port } = systemd;
  systemd.ctl('start', 'tollgate');
  assert.equal(systemd.show('StatusText'), 'configuration 1: 1 listeners, 2 workers');
  const load = ledger(t, port, 4);
  const tunnels = await Tunnels.open(t, port, 20);

  systemd.ctl('reload', 'tollgate');
  let pid = systemd.show('MainPID');
  systemd.run('kill', '-KILL', pid);
  await systemd.replaced(pid);
  assert.equal(systemd.show('NRestarts'), '1');

  pid = systemd.show('MainPID');
  assert.match(systemd.tollgate('upgrade'), /tollgate serves as pid \d+/);
  await systemd.replaced(pid);
  assert.equal(systemd.show('NRestarts'), '1', 'systemd follows the new main process');
  assert.equal(systemd.show('NFileDescriptorStore'), '2', 'a socket for each worker');

  // The unit gives it 30 s.
  pid = systemd.show('MainPID');
  systemd.run('kill', '-STOP', pid);
  await systemd.replaced(pid, 60_000);
  assert.equal(systemd.show('NRestarts'), '2');

  assert.equal(await tunnels.alive('after all that'), 20);
  const tally = await load.end();
  assert.deepEqual([tally.failed, tally.failures], [0, []]);
  t.diagnostic(`${tally.answered} requests and 20 tunnels, none lost`);

  // All of it dies at once: who connects is kept by the sockets that systemd has.
  systemd.ctl('kill', '--kill-who=all', '--signal=KILL', 'tollgate');
  assert.match(await exchange(port, CLOSE), /^HTTP\/1\.1 200 /);
  systemd.ctl('stop', 'tollgate');
  assert.equal(systemd.run('sh', '-c', "pgrep -c -f '[w]orker/main' || true"), '0', 'a stop leaves no worker behind');
});

test('the shipped socket unit under systemd: the first connection starts the service, and a restart refuses nobody', async (t) => {
  const origin = await echoOrigin(t);
  const systemd = await RealSystemd.boot(t, origin.port);
  const { port } = systemd;
  systemd.ctl('start', 'tollgate.socket');
  assert.equal(systemd.show('ActiveState'), 'inactive');
  assert.match(await exchange(port, CLOSE), /^HTTP\/1\.1 200 /);
  const load = ledger(t, port, 4);
  await until(() => load.tally.answered > 100);
  let pid = systemd.show('MainPID');
  systemd.run('kill', '-KILL', pid);
  await systemd.replaced(pid);
  const tally = await load.end();
  assert.deepEqual([tally.failed, tally.failures], [0, []]);

  // A restart ends connections, as systemctl stop does: new ones wait in the socket.
  pid = systemd.show('MainPID');
  const answers = Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      await new Promise((resolve) => setTimeout(resolve, 100 * i));
      return await exchange(port, CLOSE);
    }),
  );
  systemd.ctl('restart', 'tollgate');
  for (const answer of await answers) assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.notEqual(systemd.show('MainPID'), pid);
  systemd.ctl('stop', 'tollgate.socket', 'tollgate');
});
