#include "shim/limits.h"

#include "shim/sys.h"
#include "shim/text.h"

#include <fcntl.h>
#include <sys/resource.h>

/* The soft limit; UINT64_MAX is none. */
static uint64_t limit_of(int resource)
{
	uint64_t limit[2] = {UINT64_MAX, UINT64_MAX}; /* the kernel's struct rlimit64 */
	sys4(SYS_prlimit64, 0, resource, 0, limit);
	return limit[0];
}

uint64_t limits_file_bytes(void)
{
	return limit_of(RLIMIT_FSIZE);
}

/* The first number of /proc/self/statm, in pages. Pages of 4 KiB are assumed: of larger ones too much is
 * taken for free, and a mapping that does not fit is refused by the kernel. */
static uint64_t mapped_bytes(void)
{
	char text[64];
	uint64_t pages = 0;
	const char *end;
	long fd = sys_open(AT_FDCWD, "/proc/self/statm", O_RDONLY, 0);
	if (fd < 0)
		return UINT64_MAX;
	long n = sys3(SYS_read, fd, text, sizeof(text) - 1);
	sys1(SYS_close, fd);
	text[n > 0 ? n : 0] = '\0';
	return text_number(text, &pages, &end) ? pages * 4096 : UINT64_MAX;
}

uint64_t limits_address_space(void)
{
	uint64_t limit = limit_of(RLIMIT_AS);
	if (limit == UINT64_MAX)
		return limit;
	uint64_t mapped = mapped_bytes();
	return mapped < limit ? (limit - mapped) / 8 : 0;
}
