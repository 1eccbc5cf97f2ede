/** Node's own HTTP parser, llhttp, in strict mode, in this process: what it makes of bytes. */
import type { Heard, Message } from './ours.ts';

interface Parser {
  initialize(type: number, resource: object, maxHeaderBytes: number, leniency: number): void;
  execute(bytes: Buffer): number | (Error & { code?: string; reason?: string });
  finish(): undefined | Error;
  [callback: number]: unknown;
}

interface ParserClass {
  new (): Parser;
  readonly REQUEST: number;
  readonly RESPONSE: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
}

// Not a public module: what Node's http is made of, and the one way to llhttp without bringing another copy.
const common = (await import('node:_http_common' as string)) as unknown as { HTTPParser: ParserClass; methods: readonly string[] };
const { HTTPParser, methods } = common;
const HEADER_BYTES_MAX = 65_536;

/** What llhttp makes of `bytes`: the messages that are whole, and how it ended. */
export function llhttp(bytes: Buffer, isRequest: boolean): Heard {
  const parser = new HTTPParser();
  const messages: Message[] = [];
  let current: { method: string; target: string; status: number; minor: number; fields: string[]; body: Buffer[] } | null = null;
  let flushed: string[] = [];
  let flushedTarget = '';
  let upgraded = false;
  parser.initialize(isRequest ? HTTPParser.REQUEST : HTTPParser.RESPONSE, {}, HEADER_BYTES_MAX, 0);
  // Fields that do not fit into one call, and trailers; behind those, the next head comes this way too.
  parser[HTTPParser.kOnHeaders] = (fields: string[], url: string) => {
    flushed.push(...fields);
    flushedTarget += url;
  };
  parser[HTTPParser.kOnHeadersComplete] = (
    _major: number,
    minor: number,
    fields: string[] | undefined,
    method: number,
    url: string,
    status: number,
    _reason: string,
    upgrade: boolean,
  ) => {
    current = {
      method: methods[method] ?? '',
      target: url ?? flushedTarget,
      status: status ?? 0,
      minor,
      fields: fields ?? flushed,
      body: [],
    };
    flushed = [];
    flushedTarget = '';
    if (upgrade) upgraded = true;
    return 0;
  };
  parser[HTTPParser.kOnBody] = (part: Buffer, offset?: number, length?: number) => {
    current?.body.push(Buffer.from(offset === undefined ? part : part.subarray(offset, offset + (length ?? 0))));
  };
  parser[HTTPParser.kOnMessageComplete] = () => {
    if (current === null) return;
    const { method, target, status, minor, fields, body } = current;
    messages.push({ method, target, status, minor, fields, body: Buffer.concat(body).toString('latin1') });
    current = null;
    flushed = [];
    flushedTarget = '';
  };
  const result = parser.execute(bytes);
  const error = typeof result === 'number' ? '' : (result.code ?? result.message);
  return {
    messages,
    end: error !== '' ? error : upgraded ? 'upgrade' : current === null ? 'whole' : 'more',
    closed: error === 'HPE_CLOSED_CONNECTION',
  };
}
