/*
 * C's stdio on a socket. Its streams call the kernel by names of libc's own, past every hook, their close
 * included: a connection that becomes one is told as not seen. What is printed straight to a descriptor has
 * a known length: bytes that moved unseen.
 */
#include "shim/hook.h"

#include <stdarg.h>

HOOK_WATCHED(void *, fdopen, (int fd, const char *mode), (fd, mode))
{
	void *file = shim_real.fdopen(fd, mode);
	if (file)
		stream_hidden(fd);
	return file;
}

HOOK_WATCHED(int, vdprintf, (int fd, const char *format, va_list args), (fd, format, args))
{
	struct stream_mark mark = stream_before_write(fd);
	int moved = shim_real.vdprintf(fd, format, args);
	stream_written_unseen(mark, moved);
	return moved;
}

HOOK_WATCHED(int, __vdprintf_chk, (int fd, int flag, const char *format, va_list args),
	     (fd, flag, format, args))
{
	struct stream_mark mark = stream_before_write(fd);
	int moved = shim_real.__vdprintf_chk(fd, flag, format, args);
	stream_written_unseen(mark, moved);
	return moved;
}

HOOK(int, dprintf, (int fd, const char *format, ...))
{
	va_list args;
	va_start(args, format);
	int moved = conn_watched(fd) ? watched_vdprintf(fd, format, args)
				     : shim_real.vdprintf(fd, format, args);
	va_end(args);
	return moved;
}

HOOK(int, __dprintf_chk, (int fd, int flag, const char *format, ...))
{
	va_list args;
	va_start(args, format);
	int moved = conn_watched(fd) ? watched___vdprintf_chk(fd, flag, format, args)
				     : shim_real.__vdprintf_chk(fd, flag, format, args);
	va_end(args);
	return moved;
}
