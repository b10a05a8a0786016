/* The name in a client's certificate. For io_tls_server.c. */
#ifndef RT_IO_TLS_NAME_H
#define RT_IO_TLS_NAME_H

#include <stddef.h>

#include <openssl/ssl.h>

/* As io_client_name(): of a certificate that was verified, also of one that a resumed session
 * remembers. One whose name holds a NUL or another control character has none: what reads it on
 * may stop there. */
void io_tls_name_of_client(SSL *ssl, char *out, size_t cap);

#endif
