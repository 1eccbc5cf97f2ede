/** `s2n`: the fast TLS engine. `openssl`: the complete one. */
export type EngineName = 's2n' | 'openssl';
