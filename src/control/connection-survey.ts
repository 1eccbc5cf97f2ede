/** Connections of all workers, asked for and put together; with `close` they are ended. A worker that does not answer is left out. */
import type { ConnectionFilter, ConnectionView, ToWorker } from '../plan/messages.ts';

/** A worker tells of its connections within this time. Milliseconds. */
const ANSWER_MS = 5_000;

export interface SurveyedWorker {
  tell(message: ToWorker): void;
}

export interface Connections {
  readonly total: number;
  readonly list: readonly ConnectionView[];
}

export class ConnectionSurvey {
  #asked = 0;
  readonly #questions = new Map<number, (answer: Connections) => void>();

  /** The longest-lived first, `most` of them. */
  async ask(workers: readonly SurveyedWorker[], filter: ConnectionFilter, close: boolean, most: number): Promise<Connections> {
    const ask = ++this.#asked;
    const { promise, resolve } = Promise.withResolvers<void>();
    const answers: Connections[] = [];
    this.#questions.set(ask, (answer) => {
      answers.push(answer);
      if (answers.length === workers.length) resolve();
    });
    for (const worker of workers) worker.tell({ type: 'connections', ask, filter, close, most });
    const late = setTimeout(resolve, ANSWER_MS);
    if (workers.length > 0) await promise;
    clearTimeout(late);
    this.#questions.delete(ask);
    const list = answers.flatMap((answer) => answer.list).sort((a, b) => b.seconds - a.seconds);
    return { total: answers.reduce((sum, { total }) => sum + total, 0), list: list.slice(0, most) };
  }

  /** What a worker says to the question `ask`. */
  onAnswer(ask: number, answer: Connections): void {
    this.#questions.get(ask)?.(answer);
  }
}
