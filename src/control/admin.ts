/** The admin address: /metrics, /healthz, /readyz, /status. Read-only; over TCP on loopback by default, or a Unix socket. */
import { chmodSync, rmSync } from 'node:fs';
import { type FastifyInstance, fastify } from 'fastify';
import { TollgateError } from '../base/tollgate-error.ts';
import { addressTaken, boundPort, closeFd, openListenSocket } from '../native/listen-sockets.ts';
import { EXPOSITION_CONTENT_TYPE } from '../observe/exposition.ts';
import type { Status } from '../observe/status.ts';
import { addressText, type ListenAddress, type SocketPlan } from '../plan/plan.ts';
import { answers } from './runtime-directory.ts';

export interface AdminSource {
  metrics(): string;
  status(): Status;
  /** Null when every listener is served; else why not. */
  notReady(): string | null;
}

const METHODS = ['GET', 'HEAD'];

/** The routes, not yet listening. */
export function makeAdmin(source: AdminSource): FastifyInstance {
  const admin = fastify({ logger: false, bodyLimit: 65_536, requestTimeout: 30_000, forceCloseConnections: true });
  admin.get('/healthz', (_request, reply) => reply.type('text/plain').send('ok\n'));
  admin.get('/readyz', (_request, reply) => {
    const reason = source.notReady();
    return reply
      .code(reason === null ? 200 : 503)
      .type('text/plain')
      .send(`${reason ?? 'ready'}\n`);
  });
  admin.get('/metrics', (_request, reply) => reply.type(EXPOSITION_CONTENT_TYPE).send(source.metrics()));
  admin.get('/status', (_request, reply) => reply.send(source.status()));
  admin.setNotFoundHandler((request, reply) => {
    const known = ['/healthz', '/readyz', '/metrics', '/status'].includes(request.url.split('?')[0] ?? '');
    if (known && !METHODS.includes(request.method)) {
      return reply
        .code(405)
        .header('allow', METHODS.join(', '))
        .send({ error: 'method_not_allowed', message: `${request.method} is not for this path` });
    }
    return reply.code(404).send({ error: 'not_found', message: 'there is /metrics, /healthz, /readyz and /status' });
  });
  return admin;
}

/** The admin address with its socket, which may outlive this process. */
export class AdminSocket {
  readonly address: ListenAddress;
  readonly fd: number;
  readonly #admin: FastifyInstance;

  private constructor(address: ListenAddress, fd: number, admin: FastifyInstance) {
    this.address = address;
    this.fd = fd;
    this.#admin = admin;
  }

  /** Listens; on the socket of a predecessor where that is the same address. Throws `admin_listen` with one sentence. */
  static async open(
    admin: FastifyInstance,
    address: ListenAddress,
    inherited: { address: ListenAddress; fd: number } | null,
  ): Promise<AdminSocket> {
    const isSame = inherited !== null && addressText(inherited.address) === addressText(address);
    if (inherited !== null && !isSame) closeFd(inherited.fd);
    const fd = isSame ? inherited.fd : await openSocket(address);
    await admin.ready();
    await new Promise<void>((resolve, reject) => {
      admin.server.once('error', reject);
      admin.server.listen({ fd }, resolve);
    });
    return new AdminSocket(address.family !== 0 && address.port === 0 ? { ...address, port: boundPort(fd) } : address, fd, admin);
  }

  /** With `handedOver` a successor listens on. */
  async close(handedOver: boolean): Promise<void> {
    await this.#admin.close();
    if (this.address.family === 0 && !handedOver) rmSync(this.address.path, { force: true });
  }
}

const SOCKET: SocketPlan = { backlog: 128, fastOpen: false, deferAccept: false, userTimeoutMs: 0, keepAliveS: 0 };

async function openSocket(address: ListenAddress): Promise<number> {
  if (address.family === 0 && !(await answers(address.path))) rmSync(address.path, { force: true });
  const opened = addressTaken(address) ?? openListenSocket(address, SOCKET);
  if ('fd' in opened) {
    if (address.family === 0) chmodSync(address.path, 0o600);
    return opened.fd;
  }
  const why = opened.code === 'EADDRINUSE' ? 'another process has it; set admin.listen to another address, or to off' : opened.code;
  throw new TollgateError('admin_listen', `the admin address ${addressText(address)} cannot be had: ${why}`);
}
