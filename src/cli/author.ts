/** Who gives a command, for the history: the user, and who that was before sudo. */
import { userInfo } from 'node:os';
import type { Author } from '../plan/messages.ts';

export function me(by: string): Author {
  const { SUDO_USER: before } = process.env;
  let user = String(process.getuid?.() ?? '');
  try {
    user = userInfo().username;
  } catch {
    // A user without an entry, as in containers.
  }
  return { user: before === undefined || before === '' ? user : `${before} as ${user}`, by };
}
