/** Clients that never stop asking, with a ledger of every request; and tunnels that are held open. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from './client.ts';

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
const CLOSE = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
const UPGRADE = 'GET /tunnel HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';

export interface Tally {
  answered: number;
  failed: number;
  readonly failures: string[];
}

export interface Ledger {
  readonly tally: Tally;
  /** Ends the clients behind their last answers. */
  end(): Promise<Tally>;
}

/** `lanes` clients side by side: every second one (with `keep` each) keeps its connection, the others open one for each request. An answer ends with `ok`. */
export function ledger(test: TestContext, port: number, lanes: number, keep = false): Ledger {
  let stop = false;
  test.after(() => {
    stop = true;
  });
  const tally: Tally = { answered: 0, failed: 0, failures: [] };
  const running = Array.from({ length: lanes }, async (_, lane) => {
    let client: Client | null = null;
    while (!stop) {
      try {
        client ??= await new Client(port).open();
        const asked: Client = client;
        const from = asked.text.length;
        asked.send(keep || lane % 2 === 0 ? GET : CLOSE);
        await asked.wait(() => asked.text.endsWith('ok') || asked.ended || asked.closed);
        const text = asked.text.slice(from);
        assert.match(text, /^HTTP\/1\.1 200 [\s\S]*ok$/);
        tally.answered++;
        asked.received = Buffer.alloc(0);
        if (/\r\nConnection: close/i.test(text)) {
          asked.close();
          client = null;
        }
      } catch (error) {
        tally.failed++;
        tally.failures.push(String(error).slice(0, 300));
        client?.close();
        client = null;
        await sleep(10);
      }
    }
    client?.close();
  });
  return {
    tally,
    end: async () => {
      stop = true;
      await Promise.all(running);
      return tally;
    },
  };
}

/** Tunnels to an origin that echoes, made by `Upgrade: echo`. */
export class Tunnels {
  readonly clients: readonly Client[];

  private constructor(clients: readonly Client[]) {
    this.clients = clients;
  }

  static async open(test: TestContext, port: number, count: number): Promise<Tunnels> {
    const clients: Client[] = [];
    test.after(() => {
      for (const client of clients) client.close();
    });
    // Some at a time: what is measured is how they last, not how they come.
    while (clients.length < count) {
      const some = Array.from({ length: Math.min(50, count - clients.length) }, () => new Client(port).open());
      for (const client of await Promise.all(some)) {
        await client.send(UPGRADE).until('\r\n\r\n');
        assert.match(client.text, /^HTTP\/1\.1 101 /);
        client.received = Buffer.alloc(0);
        clients.push(client);
      }
    }
    return new Tunnels(clients);
  }

  /** How many still echo. */
  async alive(word: string): Promise<number> {
    for (const client of this.clients) {
      client.received = Buffer.alloc(0);
      if (!client.ended && !client.closed) client.send(word);
    }
    const echoes = await Promise.all(
      this.clients.map(async (client) => {
        await client.wait(() => client.text === word || client.ended || client.closed);
        return client.text === word;
      }),
    );
    return echoes.filter((each) => each).length;
  }

  close(): void {
    for (const client of this.clients) client.close();
  }
}
