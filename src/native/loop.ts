/**
 * Joins a descriptor to libuv's loop, so that Node's timers and sockets go on working beside ours.
 *
 * libuv's callback runs outside Node's callback scope: microtasks and nextTick wait for the next timer, and an exception would vanish
 * without a trace. So `turn` runs inside one try/catch that says where it happened and ends the process; the supervisor starts another.
 */
import { writeSync } from 'node:fs';
import koffi from 'koffi';
import { assert } from '../base/assert.ts';
import * as libc from './ffi/libc.ts';
import { NativeMemory } from './ffi/native-memory.ts';

const UV_POLL = 8;
const UV_READABLE = 1;

let joined: { handle: NativeMemory; callback: unknown } | null = null;

/** Calls `turn` whenever `fd` is readable, for the life of the process. Once per process. */
export function joinLoop(fd: number, turn: () => void): void {
  assert(joined === null, 'one reactor per process');
  assert(libc.uvHandleTypeName(UV_POLL) === 'poll', 'libuv numbers its handle types as this file does');
  const handle = new NativeMemory(Number(libc.uvHandleSize(UV_POLL)));
  const callback = koffi.register(() => {
    try {
      turn();
    } catch (error) {
      abortOn(error);
    }
  }, koffi.pointer(libc.PollCallback));
  joined = { handle, callback };
  assert(libc.uvPollInit(libc.uvDefaultLoop(), handle.address, fd) === 0, 'uv_poll_init');
  assert(libc.uvPollStart(handle.address, UV_READABLE, callback) === 0, 'uv_poll_start');
}

/** Lets the process end when nothing else keeps its loop. */
export function leaveLoop(): void {
  if (joined !== null) libc.uvPollStop(joined.handle.address);
}

/** Says where, never what: a message could carry bytes of a request, so only an assertion's literal one and the stack's frames are printed. */
export function abortOn(error: unknown): never {
  const name = error instanceof Error ? error.name : 'unknown';
  const literal = name === 'AssertionFault' && error instanceof Error ? `: ${error.message}` : '';
  const frames = error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)) : [];
  try {
    writeSync(2, `tollgate: worker ${process.pid} stops on an internal error (${name}${literal})\n${frames.slice(0, 12).join('\n')}\n`);
  } finally {
    process.abort();
  }
}
