/** A collector for tests: a real HTTP server that takes what is OTLP, to the letter, and answers as it is told. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { type OtlpMetric, type OtlpSpan, readMetrics, readTraces } from '../observe/test-otlp.ts';

export interface Export {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly atMs: number;
  readonly spans: readonly OtlpSpan[];
  readonly metrics: ReadonlyMap<string, OtlpMetric>;
  readonly resource: Readonly<Record<string, unknown>>;
}

/** Answers one request, or leaves it hanging. */
export type Answer = (response: ServerResponse, index: number) => void;

export const TAKE: Answer = (response) => {
  response.setHeader('content-type', 'application/json').end('{"partialSuccess":{}}');
};
export const HANG: Answer = () => {};

export class Collector {
  readonly exports: Export[] = [];
  /** What was wrong with what came: a test that ends with any has failed. */
  readonly complaints: string[] = [];
  answer: Answer;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #waiting: (() => void)[] = [];

  private constructor(answer: Answer, tls: { readonly key: string; readonly cert: string } | null) {
    this.answer = answer;
    const serve = (request: IncomingMessage, response: ServerResponse): void => this.#serve(request, response);
    this.#server = tls === null ? createServer(serve) : createSecureServer(tls, serve);
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async open(answer: Answer = TAKE, tls: { readonly key: string; readonly cert: string } | null = null): Promise<Collector> {
    const collector = new Collector(answer, tls);
    await new Promise<void>((resolve) => collector.#server.listen(0, '127.0.0.1', resolve));
    return collector;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Requests to /v1/traces. */
  get traces(): readonly Export[] {
    return this.exports.filter(({ path }) => path.endsWith('/v1/traces'));
  }

  get spans(): readonly OtlpSpan[] {
    return this.exports.flatMap(({ spans }) => spans);
  }

  get metrics(): readonly Export[] {
    return this.exports.filter(({ path }) => path.endsWith('/v1/metrics'));
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('error', () => {});
    response.on('error', () => {});
    request.on('end', () => {
      this.#keep(request, Buffer.concat(parts));
      this.answer(response, this.exports.length - 1);
      for (const each of this.#waiting.splice(0)) each();
    });
  }

  #keep({ method, url = '', headers }: IncomingMessage, body: Buffer): void {
    try {
      if (method !== 'POST') throw new TypeError(`a ${method}`);
      if (headers['content-type'] !== 'application/json') throw new TypeError(`content of type ${headers['content-type']}`);
      const isTraces = url.endsWith('/v1/traces');
      if (!isTraces && !url.endsWith('/v1/metrics')) throw new TypeError(`nobody sends to ${url}`);
      const json = new TextDecoder('utf-8', { fatal: true }).decode(body);
      const traces = isTraces ? readTraces(json) : null;
      const metrics = isTraces ? null : readMetrics(json);
      this.exports.push({
        path: url,
        headers,
        atMs: performance.now(),
        spans: traces?.spans ?? [],
        metrics: metrics?.metrics ?? new Map(),
        resource: (traces ?? metrics)!.resource,
      });
    } catch (error) {
      this.complaints.push(error instanceof Error ? error.message : String(error));
    }
  }

  /** Waits until `condition` holds, looking behind every request. */
  async until(condition: () => boolean, ms = 30_000): Promise<void> {
    const end = Date.now() + ms;
    while (!condition()) {
      if (this.complaints.length > 0) throw new Error(this.complaints.join('; '));
      if (Date.now() >= end) throw new Error(`not within ${ms} ms: ${condition}; ${this.exports.length} requests came`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      const timer = setTimeout(resolve, Math.max(1, end - Date.now()));
      await promise;
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
