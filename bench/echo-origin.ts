/** `echo-origin.ts PORT`: switches protocols for whoever asks, and sends back every byte. What is behind the tunnel case. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

const server = createServer((_request, response) => response.writeHead(426).end());
server.on('upgrade', ({ headers }, socket, head) => {
  // RFC 6455 section 4.2.2.
  const accept = createHash('sha1').update(`${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.on('error', () => socket.destroy());
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  if (head.length > 0) socket.write(head);
  socket.pipe(socket);
});
server.listen(Number(process.argv[2]), '127.0.0.1');
