import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConnectionView, ToWorker } from '../plan/messages.ts';
import { ConnectionSurvey } from './connection-survey.ts';

const ALL = { client: null, listener: null, id: null };

function view(id: string, seconds: number): ConnectionView {
  return { id, seconds } as ConnectionView;
}

test('ConnectionSurvey puts together what all workers say, the longest-lived first', async () => {
  const survey = new ConnectionSurvey();
  const asked: ToWorker[] = [];
  const saying = (total: number, list: ConnectionView[]) => ({
    tell: (message: ToWorker) => {
      asked.push(message);
      if (message.type === 'connections') queueMicrotask(() => survey.onAnswer(message.ask, { total, list }));
    },
  });
  const workers = [saying(2, [view('a', 1), view('b', 5)]), saying(7, [view('c', 3)])];
  const { total, list } = await survey.ask(workers, ALL, true, 2);
  assert.deepEqual([total, list.map(({ id }) => id)], [9, ['b', 'c']]);
  assert.deepEqual(
    asked.map((message) => message.type === 'connections' && [message.close, message.most]),
    [
      [true, 2],
      [true, 2],
    ],
  );
  assert.deepEqual(await survey.ask([], ALL, false, 10), { total: 0, list: [] });
});

test('ConnectionSurvey leaves out a worker that does not answer, and passes over what comes too late', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const survey = new ConnectionSurvey();
  const asked: number[] = [];
  const silent = { tell: (message: ToWorker) => void (message.type === 'connections' && asked.push(message.ask)) };
  const asking = survey.ask([silent, silent], ALL, false, 10);
  survey.onAnswer(asked[0]!, { total: 1, list: [view('a', 1)] });
  t.mock.timers.tick(5_000);
  assert.equal((await asking).total, 1);
  assert.doesNotThrow(() => survey.onAnswer(asked[0]!, { total: 1, list: [] }));
});
