/** Where this user's own files live: the local CA, and what later versions keep. Creates nothing. */
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/**
 * $TOLLGATE_DATA, else $XDG_DATA_HOME/tollgate, else ~/.local/share/tollgate; root follows the same rule.
 * A relative XDG_DATA_HOME is passed over, as the XDG Base Directory Specification asks.
 */
export function dataDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const { TOLLGATE_DATA: own, XDG_DATA_HOME: xdg, HOME: home } = env;
  if (own !== undefined && own !== '') return resolve(own);
  if (xdg !== undefined && isAbsolute(xdg)) return join(xdg, 'tollgate');
  return join(home !== undefined && isAbsolute(home) ? home : homedir(), '.local', 'share', 'tollgate');
}

/** Where a service keeps what outlives it: systemd's StateDirectory= where there is one. */
export function stateDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const { STATE_DIRECTORY: state, TOLLGATE_DATA: own } = env;
  const given = state?.split(':')[0];
  return given !== undefined && isAbsolute(given) && (own === undefined || own === '') ? given : dataDirectory(env);
}
