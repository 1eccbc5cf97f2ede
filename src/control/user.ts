/** Who a supervisor that was started as root becomes: a user and its groups, as passwd(5) and group(5) know them. */
import { readFileSync } from 'node:fs';
import { TollgateError } from '../base/tollgate-error.ts';

export interface User {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/** Throws `user` when there is none of that name, or when it is root. */
export function findUser(
  name: string,
  group: string | undefined,
  read: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): User {
  const entry = lines(read('/etc/passwd')).find(([each]) => each === name);
  if (entry === undefined) throw new TollgateError('user', `user: there is no user '${name}' in /etc/passwd`);
  const groups = lines(read('/etc/group'));
  const [uid, own] = [Number(entry[2]), Number(entry[3])];
  if (uid === 0) throw new TollgateError('user', `user: '${name}' is root itself; name a user that can do less`);
  let gid = own;
  if (group !== undefined) {
    const named = groups.find(([each]) => each === group);
    if (named === undefined) throw new TollgateError('user', `group: there is no group '${group}' in /etc/group`);
    gid = Number(named[2]);
  }
  const more = groups.flatMap(([, , id, members]) => (members?.split(',').includes(name) === true ? [Number(id)] : []));
  return { uid, gid, groups: [...new Set([gid, ...more])] };
}

function lines(text: string): string[][] {
  return text.split('\n').map((line) => line.split(':'));
}
