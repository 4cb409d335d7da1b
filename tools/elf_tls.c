#include "tools/elf_tls.h"

#include "tools/elf_link.h"

#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORTS_MAX 131072 /* node has 75,000, which takes 10 ms */
#define CHUNK_BYTES (1u << 20)
#define NEEDLE_MAX  32 /* the longest of what is looked for, and a character more */

static void note_symbol(void *user, const struct elf_symbol *symbol)
{
	if (symbol->defined && symbol->function &&
	    (strcmp(symbol->name, "SSL_write") == 0 || strcmp(symbol->name, "SSL_read") == 0))
		*(unsigned int *)user |= ELF_TLS_OPENSSL;
}

unsigned int elf_tls_exported(const struct elf_file *file)
{
	unsigned int found = 0;
	elf_symbols(file, false, EXPORTS_MAX, note_symbol, &found);
	return found;
}

/* OpenSSL's file is in C, BoringSSL's (since 2017) in C++: ssl_lib.c, ssl_lib.cc. */
static unsigned int look_for_openssl(const char *text, size_t len)
{
	static const char needle[] = "ssl/ssl_lib.c";
	const size_t n = sizeof(needle) - 1;
	unsigned int found = 0;
	for (const char *at; (at = memmem(text, len, needle, n)); len -= n) {
		len -= (size_t)(at - text);
		found |= len > n && at[n] == 'c' ? ELF_TLS_BORINGSSL : ELF_TLS_OPENSSL;
		text = at + n;
	}
	return found;
}

/* The crate's own sources, not those of tokio-rustls or rustls-pki-types. */
static unsigned int look_for_rustls(const char *text, size_t len)
{
	static const char needle[] = "/rustls-0.";
	return memmem(text, len, needle, sizeof(needle) - 1) ? ELF_TLS_RUSTLS : 0;
}

/* Chunks overlap, so that nothing is cut in two. */
static unsigned int look_through(const struct elf_file *file, uint64_t at, uint64_t bytes,
				 char *chunk)
{
	unsigned int found = 0;
	size_t kept = 0;
	while (bytes) {
		size_t want = bytes < CHUNK_BYTES ? (size_t)bytes : CHUNK_BYTES;
		ssize_t n = pread(file->fd, chunk + kept, want, (off_t)at);
		if (n <= 0)
			break;
		size_t len = kept + (size_t)n;
		found |= look_for_openssl(chunk, len) | look_for_rustls(chunk, len);
		at += (uint64_t)n;
		bytes -= (uint64_t)n;
		kept = len < NEEDLE_MAX ? len : NEEDLE_MAX;
		memmove(chunk, chunk + len - kept, kept);
	}
	return found;
}

/* Constants: mapped, not code, and in the file. */
static bool holds_text(const GElf_Shdr *header)
{
	return header->sh_type == SHT_PROGBITS && (header->sh_flags & SHF_ALLOC) &&
	       !(header->sh_flags & (SHF_EXECINSTR | SHF_COMPRESSED));
}

unsigned int elf_tls_inside(const struct elf_file *file, uint64_t *budget)
{
	unsigned int found = 0;
	elf_symbols(file, true, ELF_SYMBOLS_MAX, note_symbol, &found);
	char *chunk = malloc(CHUNK_BYTES + NEEDLE_MAX);
	if (!chunk)
		return found;
	for (Elf_Scn *section = NULL; (section = elf_nextscn(file->elf, section));) {
		GElf_Shdr header;
		if (!gelf_getshdr(section, &header) || !holds_text(&header) ||
		    header.sh_offset >= file->bytes)
			continue;
		uint64_t bytes = file->bytes - header.sh_offset;
		bytes = bytes < header.sh_size ? bytes : header.sh_size;
		bytes = bytes < *budget ? bytes : *budget;
		*budget -= bytes;
		found |= look_through(file, header.sh_offset, bytes, chunk);
	}
	free(chunk);
	/* BoringSSL's functions have OpenSSL's names. */
	if (found & ELF_TLS_BORINGSSL)
		found &= ~(unsigned int)ELF_TLS_OPENSSL;
	return found;
}

const char *elf_tls_name(unsigned int one)
{
	if (one & ELF_TLS_OPENSSL)
		return "OpenSSL";
	return one & ELF_TLS_BORINGSSL ? "BoringSSL" : "rustls";
}
