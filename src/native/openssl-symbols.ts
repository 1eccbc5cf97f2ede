/**
 * The OpenSSL functions Tollgate calls: name and C prototype, as koffi reads it. What is not here is not called.
 *
 * They come out of the running node, which exports the OpenSSL it is built with, or out of another libssl (3.0 or newer) that a
 * configuration names. The list is tested against the symbol tables of both pinned node binaries, and bound in full when the library is
 * loaded.
 *
 * Pointers are `intptr_t` and travel as numbers. `unsigned long` error codes have 32 bits in them; `long` results of the `ctrl` functions
 * are small. Callbacks are passed as the addresses that koffi gives them. Sources: `openssl/ssl.h`, `x509.h`, `x509_vfy.h`, `pem.h`,
 * `evp.h`, `err.h`.
 */
export const OPENSSL_SYMBOLS = Object.freeze({
  // Library and errors.
  OPENSSL_init_ssl: 'int OPENSSL_init_ssl(uint64_t, intptr_t)',
  OpenSSL_version: 'const char* OpenSSL_version(int)',
  OPENSSL_version_major: 'uint32_t OPENSSL_version_major()',
  ERR_clear_error: 'void ERR_clear_error()',
  ERR_get_error: 'uint32_t ERR_get_error()',
  ERR_reason_error_string: 'const char* ERR_reason_error_string(uint32_t)',
  RAND_bytes: 'int RAND_bytes(intptr_t, int)',

  // PEM, certificates, keys.
  BIO_new_mem_buf: 'intptr_t BIO_new_mem_buf(intptr_t, int)',
  BIO_free: 'int BIO_free(intptr_t)',
  PEM_read_bio_X509: 'intptr_t PEM_read_bio_X509(intptr_t, intptr_t, intptr_t, intptr_t)',
  PEM_read_bio_PrivateKey: 'intptr_t PEM_read_bio_PrivateKey(intptr_t, intptr_t, intptr_t, intptr_t)',
  EVP_PKEY_free: 'void EVP_PKEY_free(intptr_t)',
  X509_free: 'void X509_free(intptr_t)',
  i2d_X509: 'int i2d_X509(intptr_t, intptr_t)',
  OPENSSL_sk_new_null: 'intptr_t OPENSSL_sk_new_null()',
  OPENSSL_sk_push: 'int OPENSSL_sk_push(intptr_t, intptr_t)',
  OPENSSL_sk_num: 'int OPENSSL_sk_num(intptr_t)',
  OPENSSL_sk_value: 'intptr_t OPENSSL_sk_value(intptr_t, int)',
  OPENSSL_sk_free: 'void OPENSSL_sk_free(intptr_t)',

  // Verification.
  X509_STORE_add_cert: 'int X509_STORE_add_cert(intptr_t, intptr_t)',
  X509_STORE_set_flags: 'int X509_STORE_set_flags(intptr_t, intptr_t)',
  X509_STORE_CTX_get0_chain: 'intptr_t X509_STORE_CTX_get0_chain(intptr_t)',
  X509_STORE_CTX_get_error: 'int X509_STORE_CTX_get_error(intptr_t)',
  X509_STORE_CTX_set_error: 'void X509_STORE_CTX_set_error(intptr_t, int)',
  CRYPTO_malloc: 'intptr_t CRYPTO_malloc(intptr_t, intptr_t, int)',
  X509_verify_cert: 'int X509_verify_cert(intptr_t)',

  // Ticket keys.
  EVP_aes_256_cbc: 'intptr_t EVP_aes_256_cbc()',
  EVP_EncryptInit_ex: 'int EVP_EncryptInit_ex(intptr_t, intptr_t, intptr_t, intptr_t, intptr_t)',
  EVP_DecryptInit_ex: 'int EVP_DecryptInit_ex(intptr_t, intptr_t, intptr_t, intptr_t, intptr_t)',
  EVP_MAC_CTX_set_params: 'int EVP_MAC_CTX_set_params(intptr_t, intptr_t)',

  // Contexts.
  TLS_server_method: 'intptr_t TLS_server_method()',
  TLS_client_method: 'intptr_t TLS_client_method()',
  SSL_CTX_new: 'intptr_t SSL_CTX_new(intptr_t)',
  SSL_CTX_free: 'void SSL_CTX_free(intptr_t)',
  SSL_CTX_ctrl: 'int SSL_CTX_ctrl(intptr_t, int, intptr_t, intptr_t)',
  SSL_CTX_set_keylog_callback: 'void SSL_CTX_set_keylog_callback(intptr_t, intptr_t)',
  SSL_CTX_set_options: 'uint64_t SSL_CTX_set_options(intptr_t, uint64_t)',
  SSL_CTX_set_security_level: 'void SSL_CTX_set_security_level(intptr_t, int)',
  SSL_CTX_set_cipher_list: 'int SSL_CTX_set_cipher_list(intptr_t, const char*)',
  SSL_CTX_set_ciphersuites: 'int SSL_CTX_set_ciphersuites(intptr_t, const char*)',
  SSL_CTX_get_ciphers: 'intptr_t SSL_CTX_get_ciphers(intptr_t)',
  SSL_CTX_use_cert_and_key: 'int SSL_CTX_use_cert_and_key(intptr_t, intptr_t, intptr_t, intptr_t, int)',
  SSL_CTX_set_session_id_context: 'int SSL_CTX_set_session_id_context(intptr_t, intptr_t, uint32_t)',
  SSL_CTX_set_timeout: 'int SSL_CTX_set_timeout(intptr_t, intptr_t)',
  SSL_CTX_set_num_tickets: 'int SSL_CTX_set_num_tickets(intptr_t, intptr_t)',
  SSL_CTX_set_alpn_select_cb: 'void SSL_CTX_set_alpn_select_cb(intptr_t, intptr_t, intptr_t)',
  SSL_CTX_set_tlsext_ticket_key_evp_cb: 'int SSL_CTX_set_tlsext_ticket_key_evp_cb(intptr_t, intptr_t)',
  SSL_CTX_set_info_callback: 'void SSL_CTX_set_info_callback(intptr_t, intptr_t)',
  SSL_CTX_get_cert_store: 'intptr_t SSL_CTX_get_cert_store(intptr_t)',
  SSL_CTX_add_client_CA: 'int SSL_CTX_add_client_CA(intptr_t, intptr_t)',
  SSL_CTX_set_verify: 'void SSL_CTX_set_verify(intptr_t, int, intptr_t)',
  SSL_CTX_set_verify_depth: 'void SSL_CTX_set_verify_depth(intptr_t, int)',
  SSL_CTX_callback_ctrl: 'int SSL_CTX_callback_ctrl(intptr_t, int, intptr_t)',
  SSL_CTX_set_cert_verify_callback: 'void SSL_CTX_set_cert_verify_callback(intptr_t, intptr_t, intptr_t)',
  SSL_CTX_set_session_ticket_cb: 'int SSL_CTX_set_session_ticket_cb(intptr_t, intptr_t, intptr_t, intptr_t)',
  SSL_CTX_set_alpn_protos: 'int SSL_CTX_set_alpn_protos(intptr_t, intptr_t, uint32_t)',
  SSL_CTX_sess_set_new_cb: 'void SSL_CTX_sess_set_new_cb(intptr_t, intptr_t)',
  SSL_SESSION_free: 'void SSL_SESSION_free(intptr_t)',
  SSL_SESSION_get0_peer: 'intptr_t SSL_SESSION_get0_peer(intptr_t)',
  SSL_select_next_proto: 'int SSL_select_next_proto(intptr_t, intptr_t, intptr_t, uint32_t, intptr_t, uint32_t)',

  // Suites and groups.
  SSL_CIPHER_get_name: 'const char* SSL_CIPHER_get_name(intptr_t)',
  SSL_CIPHER_get_protocol_id: 'int SSL_CIPHER_get_protocol_id(intptr_t)',

  // Connections.
  SSL_new: 'intptr_t SSL_new(intptr_t)',
  SSL_free: 'void SSL_free(intptr_t)',
  SSL_set_fd: 'int SSL_set_fd(intptr_t, int)',
  SSL_set_accept_state: 'void SSL_set_accept_state(intptr_t)',
  SSL_set_connect_state: 'void SSL_set_connect_state(intptr_t)',
  SSL_set1_host: 'int SSL_set1_host(intptr_t, const char*)',
  SSL_set_hostflags: 'void SSL_set_hostflags(intptr_t, uint32_t)',
  SSL_get0_param: 'intptr_t SSL_get0_param(intptr_t)',
  X509_VERIFY_PARAM_set1_ip_asc: 'int X509_VERIFY_PARAM_set1_ip_asc(intptr_t, const char*)',
  SSL_set_session: 'int SSL_set_session(intptr_t, intptr_t)',
  SSL_get0_peer_certificate: 'intptr_t SSL_get0_peer_certificate(intptr_t)',
  SSL_do_handshake: 'int SSL_do_handshake(intptr_t)',
  SSL_read: 'int SSL_read(intptr_t, intptr_t, int)',
  SSL_write: 'int SSL_write(intptr_t, intptr_t, int)',
  SSL_shutdown: 'int SSL_shutdown(intptr_t)',
  SSL_get_error: 'int SSL_get_error(intptr_t, int)',
  SSL_has_pending: 'int SSL_has_pending(intptr_t)',
  SSL_free_buffers: 'int SSL_free_buffers(intptr_t)',

  // Connections: what was agreed.
  SSL_version: 'int SSL_version(intptr_t)',
  SSL_get_current_cipher: 'intptr_t SSL_get_current_cipher(intptr_t)',
  SSL_get_pending_cipher: 'intptr_t SSL_get_pending_cipher(intptr_t)',
  SSL_session_reused: 'int SSL_session_reused(intptr_t)',
  SSL_get0_alpn_selected: 'void SSL_get0_alpn_selected(intptr_t, intptr_t, intptr_t)',
  SSL_get_certificate: 'intptr_t SSL_get_certificate(intptr_t)',
  SSL_ctrl: 'int SSL_ctrl(intptr_t, int, intptr_t, intptr_t)',
  SSL_group_to_name: 'const char* SSL_group_to_name(intptr_t, int)',
} as const);

/** Functions that came after OpenSSL 3.0: a library without them serves, and does not do what they are for. */
export const OPENSSL_LATER_SYMBOLS = Object.freeze({
  // 3.2: certificate compression, RFC 8879.
  SSL_CTX_compress_certs: 'int SSL_CTX_compress_certs(intptr_t, int)',
} as const);

/**
 * BIOs of the running node, whichever library the engine is: what s2n reads from and writes to (ffi/s2n-io.ts). `BIO_read` and `BIO_write`
 * are what it takes for functions to receive and send with: a context, bytes, and how many.
 */
export const S2N_IO_SYMBOLS = Object.freeze({
  BIO_s_mem: 'intptr_t BIO_s_mem()',
  BIO_new: 'intptr_t BIO_new(intptr_t)',
  BIO_new_socket: 'intptr_t BIO_new_socket(int, int)',
  BIO_free: 'int BIO_free(intptr_t)',
  BIO_read: 'int BIO_read(intptr_t, intptr_t, int)',
  BIO_write: 'int BIO_write(intptr_t, intptr_t, int)',
});
