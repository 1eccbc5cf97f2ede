import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findUser } from './user.ts';

const FILES: Readonly<Record<string, string>> = {
  '/etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web,,,:/var/www:/usr/sbin/nologin\nother:x:0:0::/:\n',
  '/etc/group': 'root:x:0:\nweb:x:34:\nssl-cert:x:101:web,postgres\nlog:x:4:syslog,web\nnone:x:99:\n',
};
const read = (path: string): string => FILES[path]!;

test('findUser() tells user, group and groups, and refuses who is not there or is root', () => {
  assert.deepEqual(findUser('web', undefined, read), { uid: 33, gid: 34, groups: [34, 101, 4] });
  assert.deepEqual(findUser('web', 'none', read), { uid: 33, gid: 99, groups: [99, 101, 4] });
  assert.throws(() => findUser('nobody', undefined, read), { code: 'user', message: "user: there is no user 'nobody' in /etc/passwd" });
  assert.throws(() => findUser('web', 'nope', read), { code: 'user', message: "group: there is no group 'nope' in /etc/group" });
  assert.throws(() => findUser('other', undefined, read), /is root itself/);
});
