/*
 * elf_tls.h - which TLS implementations are inside an ELF file, where no hook reaches them.
 *
 * Told by what a stripped file still says: the paths of its sources in messages. An OpenSSL that a file
 * is only linked to leaves none of these in it.
 */
#ifndef TOOLS_ELF_TLS_H
#define TOOLS_ELF_TLS_H

#include "tools/elf.h"

enum elf_tls {
	ELF_TLS_OPENSSL = 1,   /* or LibreSSL: ssl/ssl_lib.c, or the functions themselves */
	ELF_TLS_BORINGSSL = 2, /* ssl/ssl_lib.cc */
	ELF_TLS_RUSTLS = 4,    /* rustls-0.23.31/src/... */
};

/* A set of them, by the functions that the file exports, if these are not too many to be read
 * in 20 ms. */
unsigned int elf_tls_exported(const struct elf_file *file);

/* A set of them, by all that the file says. Looks at *budget bytes at most, and lowers it by what it
 * looked at; at 0 there may be more to find. */
unsigned int elf_tls_inside(const struct elf_file *file, uint64_t *budget);

/* "OpenSSL", "BoringSSL", "rustls": of one of them. */
const char *elf_tls_name(unsigned int one);

#endif
