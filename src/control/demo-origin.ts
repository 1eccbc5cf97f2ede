/** The small web server that the demo stands in front of: it shows a request as it arrived, so that one sees what an offloader adds. */
import { createServer, type IncomingMessage, type Server } from 'node:http';

/** Starts it on a free port of the loopback address. */
export async function openDemoOrigin(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((request, response) => {
    const url = request.url ?? '/';
    if (request.method !== 'GET' && request.method !== 'HEAD' && request.method !== 'POST') {
      response.writeHead(405, { allow: 'GET, HEAD, POST', 'content-type': 'text/plain; charset=utf-8' }).end('GET, HEAD or POST\n');
      return;
    }
    response.setHeader('content-type', 'text/plain; charset=utf-8');
    response.setHeader('cache-control', 'no-store');
    if (url === '/slow') {
      setTimeout(() => response.end('That took two seconds.\n'), 2_000);
      return;
    }
    if (request.method === 'POST') {
      request.pipe(response);
      return;
    }
    response.end(page(request));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the demo origin has no port');
  return { server, port: address.port };
}

function page(request: IncomingMessage): string {
  const lines = [
    'Tollgate works: your connection was encrypted, and this server got the request in plain HTTP.',
    '',
    `${request.method} ${request.url} HTTP/${request.httpVersion}`,
  ];
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
  return `${lines.join('\n')}\n`;
}
