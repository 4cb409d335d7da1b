#include "shim/sys.h"

#include <fcntl.h>

#define ABOVE_STANDARD 3

long sys_open(int dir, const char *path, int flags, int mode)
{
	long fd = sys4(SYS_openat, dir, path, flags | O_CLOEXEC, mode);
	if (fd < 0 || fd >= ABOVE_STANDARD)
		return fd;
	long higher = sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, ABOVE_STANDARD);
	sys1(SYS_close, fd);
	return higher;
}
