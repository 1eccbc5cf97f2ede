/** The reactor of a file of tests: one per process, so the tests of a file share it. */
import { after } from 'node:test';
import { Reactor } from './reactor.ts';

/** Runs until the file's tests are over. */
export function testReactor(): Reactor {
  const reactor = new Reactor(
    () => {},
    () => {},
  );
  reactor.start();
  after(() => reactor.stop());
  return reactor;
}
