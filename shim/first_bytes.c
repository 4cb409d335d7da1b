/*
 * A client may send as little as one byte at first: what fits so far is taken for it. A server's SETTINGS are
 * taken for that from the whole head of their frame on.
 */
#include "shim/first_bytes.h"

#include <stdint.h>

/* Byte n of what moved, wherever the iovec list has it. */
static uint8_t byte_at(const struct iovec *iov, size_t n)
{
	while (n >= iov->iov_len) {
		n -= iov->iov_len;
		iov++;
	}
	return ((const uint8_t *)iov->iov_base)[n];
}

/* RFC 9110 9.1: a method is a token; all in use are capital letters, '-' and a space after them. */
bool first_bytes_are_http(const struct iovec *iov, size_t moved)
{
	for (size_t i = 0; i < moved && i < 16; i++) {
		uint8_t c = byte_at(iov, i);
		if (c == ' ')
			return i > 0;
		if ((c < 'A' || c > 'Z') && c != '-')
			return false;
	}
	return moved < 16;
}

/* A server of HTTP/2 may speak first: its SETTINGS, a frame of stream 0 (RFC 9113 3.4, 6.5). */
bool first_bytes_are_settings(const struct iovec *iov, size_t moved)
{
	static const uint8_t type_to_stream[] = {4, 0, 0, 0, 0, 0};
	if (moved < 9 || byte_at(iov, 0) || byte_at(iov, 1) || byte_at(iov, 2) % 6)
		return false;
	for (size_t i = 0; i < sizeof(type_to_stream); i++) {
		if (byte_at(iov, 3 + i) != type_to_stream[i])
			return false;
	}
	return true;
}

/* RFC 8446 5.1: the type of a record, handshake, and the first byte of its version. */
bool first_bytes_are_tls(const struct iovec *iov, size_t moved)
{
	return byte_at(iov, 0) == 0x16 && (moved < 2 || byte_at(iov, 1) == 0x03);
}
