/** The admin address: /metrics, /healthz, /readyz, /status. Read-only; over TCP on loopback by default, or a Unix socket. */
import { chmodSync, rmSync } from 'node:fs';
import { type FastifyInstance, fastify } from 'fastify';
import { TollgateError } from '../base/tollgate-error.ts';
import { METRICS_CONTENT_TYPE } from '../observe/metrics.ts';
import type { Status } from '../observe/status.ts';
import { addressText, type ListenAddress } from '../plan/plan.ts';
import { answers } from './runtime-directory.ts';

export interface AdminSource {
  metrics(): Promise<string>;
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
  admin.get('/metrics', async (_request, reply) => reply.type(METRICS_CONTENT_TYPE).send(await source.metrics()));
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

/** Listens. Throws `admin_listen` with one sentence. */
export async function openAdmin(admin: FastifyInstance, address: ListenAddress): Promise<void> {
  try {
    if (address.family !== 0) {
      await admin.listen({ host: address.ip, port: address.port });
      return;
    }
    if (!(await answers(address.path))) rmSync(address.path, { force: true });
    await admin.listen({ path: address.path });
    chmodSync(address.path, 0o600);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    const why = code === 'EADDRINUSE' ? 'another process has it; set admin.listen to another address, or to off' : code;
    throw new TollgateError('admin_listen', `the admin address ${addressText(address)} cannot be had: ${why}`, cause);
  }
}
