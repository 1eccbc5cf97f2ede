/**
 * The s2n-tls functions Tollgate calls: name and C prototype, as koffi reads it. What is not here is not called.
 *
 * s2n comes out of the aws-crt package, which exports these functions without promising to. So this list is tested against the symbol
 * tables of all four Linux binaries of the pinned version, and bound in full when the library is loaded: a missing one is an error at
 * start, not under load.
 *
 * Pointers are `intptr_t` and travel as numbers (40 ns a call, against 65 ns with a Buffer). C strings that only cold code passes or
 * reads are `const char*`. `ssize_t` results are `int`, since no call here moves 2 GiB: -1 stays -1 and the result is never a heap
 * number. Source: `api/s2n.h` of s2n-tls, in its order. This file knows no types but C's: what a result means is `s2n.ts`'s affair.
 */
export const S2N_SYMBOLS = Object.freeze({
  // Library and errors.
  s2n_errno_location: 'intptr_t s2n_errno_location()',
  s2n_error_get_type: 'int s2n_error_get_type(int)',
  s2n_disable_atexit: 'int s2n_disable_atexit()',
  s2n_get_openssl_version: 'uint64_t s2n_get_openssl_version()',
  s2n_init: 'int s2n_init()',
  s2n_strerror_name: 'const char* s2n_strerror_name(int)',

  // Certificates.
  s2n_cert_chain_and_key_new: 'intptr_t s2n_cert_chain_and_key_new()',
  s2n_cert_chain_and_key_load_pem_bytes: 'int s2n_cert_chain_and_key_load_pem_bytes(intptr_t, intptr_t, uint32_t, intptr_t, uint32_t)',
  s2n_cert_chain_and_key_set_ocsp_data: 'int s2n_cert_chain_and_key_set_ocsp_data(intptr_t, intptr_t, uint32_t)',
  s2n_cert_chain_and_key_free: 'int s2n_cert_chain_and_key_free(intptr_t)',

  // Configurations.
  s2n_config_new_minimal: 'intptr_t s2n_config_new_minimal()',
  s2n_config_free: 'int s2n_config_free(intptr_t)',
  s2n_config_add_cert_chain_and_key_to_store: 'int s2n_config_add_cert_chain_and_key_to_store(intptr_t, intptr_t)',
  s2n_config_set_cert_chain_and_key_defaults: 'int s2n_config_set_cert_chain_and_key_defaults(intptr_t, intptr_t, uint32_t)',
  s2n_config_set_send_buffer_size: 'int s2n_config_set_send_buffer_size(intptr_t, uint32_t)',
  s2n_config_set_recv_multi_record: 'int s2n_config_set_recv_multi_record(intptr_t, bool)',
  s2n_config_set_cipher_preferences: 'int s2n_config_set_cipher_preferences(intptr_t, const char*)',
  s2n_config_append_protocol_preference: 'int s2n_config_append_protocol_preference(intptr_t, intptr_t, uint8_t)',
  s2n_config_set_session_tickets_onoff: 'int s2n_config_set_session_tickets_onoff(intptr_t, uint8_t)',
  s2n_config_set_session_cache_onoff: 'int s2n_config_set_session_cache_onoff(intptr_t, uint8_t)',
  s2n_config_set_ticket_encrypt_decrypt_key_lifetime: 'int s2n_config_set_ticket_encrypt_decrypt_key_lifetime(intptr_t, uint64_t)',
  s2n_config_set_ticket_decrypt_key_lifetime: 'int s2n_config_set_ticket_decrypt_key_lifetime(intptr_t, uint64_t)',
  s2n_config_set_session_state_lifetime: 'int s2n_config_set_session_state_lifetime(intptr_t, uint64_t)',
  s2n_config_add_ticket_crypto_key: 'int s2n_config_add_ticket_crypto_key(intptr_t, intptr_t, uint32_t, intptr_t, uint32_t, uint64_t)',
  s2n_config_set_max_blinding_delay: 'int s2n_config_set_max_blinding_delay(intptr_t, uint32_t)',
  s2n_config_set_key_log_cb: 'int s2n_config_set_key_log_cb(intptr_t, intptr_t, intptr_t)',
  s2n_config_set_client_auth_type: 'int s2n_config_set_client_auth_type(intptr_t, int)',
  s2n_config_set_initial_ticket_count: 'int s2n_config_set_initial_ticket_count(intptr_t, uint8_t)',

  // Connections: life and settings.
  s2n_connection_new: 'intptr_t s2n_connection_new(int)',
  s2n_connection_set_config: 'int s2n_connection_set_config(intptr_t, intptr_t)',
  s2n_connection_set_recv_cb: 'int s2n_connection_set_recv_cb(intptr_t, intptr_t)',
  s2n_connection_set_recv_ctx: 'int s2n_connection_set_recv_ctx(intptr_t, intptr_t)',
  s2n_connection_set_send_cb: 'int s2n_connection_set_send_cb(intptr_t, intptr_t)',
  s2n_connection_set_send_ctx: 'int s2n_connection_set_send_ctx(intptr_t, intptr_t)',
  s2n_connection_prefer_throughput: 'int s2n_connection_prefer_throughput(intptr_t)',
  s2n_connection_prefer_low_latency: 'int s2n_connection_prefer_low_latency(intptr_t)',
  s2n_connection_set_recv_buffering: 'int s2n_connection_set_recv_buffering(intptr_t, bool)',
  s2n_connection_set_dynamic_buffers: 'int s2n_connection_set_dynamic_buffers(intptr_t, bool)',
  s2n_connection_set_dynamic_record_threshold: 'int s2n_connection_set_dynamic_record_threshold(intptr_t, uint32_t, uint16_t)',
  s2n_connection_set_blinding: 'int s2n_connection_set_blinding(intptr_t, int)',
  s2n_connection_get_delay: 'uint64_t s2n_connection_get_delay(intptr_t)',
  s2n_connection_free_handshake: 'int s2n_connection_free_handshake(intptr_t)',
  s2n_connection_release_buffers: 'int s2n_connection_release_buffers(intptr_t)',
  s2n_connection_wipe: 'int s2n_connection_wipe(intptr_t)',
  s2n_connection_free: 'int s2n_connection_free(intptr_t)',

  // Connections: work.
  s2n_negotiate: 'int s2n_negotiate(intptr_t, intptr_t)',
  s2n_send: 'int s2n_send(intptr_t, intptr_t, intptr_t, intptr_t)',
  s2n_recv: 'int s2n_recv(intptr_t, intptr_t, intptr_t, intptr_t)',
  s2n_peek: 'uint32_t s2n_peek(intptr_t)',
  s2n_peek_buffered: 'uint32_t s2n_peek_buffered(intptr_t)',
  s2n_shutdown: 'int s2n_shutdown(intptr_t, intptr_t)',
  s2n_shutdown_send: 'int s2n_shutdown_send(intptr_t, intptr_t)',

  // Connections: what was agreed.
  s2n_get_application_protocol: 'const char* s2n_get_application_protocol(intptr_t)',
  s2n_connection_is_session_resumed: 'int s2n_connection_is_session_resumed(intptr_t)',
  s2n_connection_get_actual_protocol_version: 'int s2n_connection_get_actual_protocol_version(intptr_t)',
  s2n_connection_get_cipher_iana_value: 'int s2n_connection_get_cipher_iana_value(intptr_t, intptr_t, intptr_t)',
  s2n_connection_is_valid_for_cipher_preferences: 'int s2n_connection_is_valid_for_cipher_preferences(intptr_t, const char*)',
  s2n_connection_get_key_exchange_group: 'int s2n_connection_get_key_exchange_group(intptr_t, intptr_t)',
  s2n_connection_get_alert: 'int s2n_connection_get_alert(intptr_t)',
} as const);
