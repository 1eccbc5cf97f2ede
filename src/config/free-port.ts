/** Finds a port to listen on, for whoever has not named one. */
import { createServer } from 'node:net';

/** Ports tried above the preferred one before the kernel chooses. */
const TRIES = 20;

/**
 * The first port from `preferred` on that nobody listens on, on either loopback; after some tries one that the kernel
 * chooses. Another process may take it the moment after: whoever then listens must still be ready to fail.
 */
export async function freePort(preferred: number): Promise<number> {
  for (let port = preferred; port < Math.min(preferred + TRIES, 65_536); port++) {
    if ((await tryPort(port, '127.0.0.1')) === port && (await tryPort(port, '::1')) !== undefined) return port;
  }
  const chosen = await tryPort(0, '127.0.0.1');
  if (chosen === undefined) throw new Error('the kernel gave no free port on 127.0.0.1');
  return chosen;
}

/** The port that could be had on `host`, or undefined when it is taken. A machine without the address family counts as free. */
async function tryPort(port: number, host: string): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const server = createServer();
  server.once('error', ({ code }: NodeJS.ErrnoException) => {
    if (code === 'EADDRINUSE' || code === 'EACCES') resolve(undefined);
    else if (host === '::1') resolve(port);
    else reject(new Error(`cannot listen on ${host}: ${code}`));
  });
  server.listen({ port, host, exclusive: true }, () => {
    const address = server.address();
    server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
  });
  return await promise;
}
