/*
 * A program that uses what newer libcs have, where there is any: built with one that has not, it finds
 * what is preloaded. Then that must do what its name says.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#pragma weak close_range
#pragma weak closefrom
#pragma weak fcntl64
int close_range(unsigned first, unsigned last, int flags);
void closefrom(int first);
int fcntl64(int fd, int command, ...);

static int is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

int main(void)
{
	int good = 1;
	dup2(1, 300);
	dup2(1, 301);
	dup2(1, 305);
	if (fcntl64)
		good &= fcntl64(300, F_GETFD) == 0 && fcntl64(299, F_GETFD) == -1 && errno == EBADF;
	if (close_range) {
		good &= close_range(300, 300, 0) == 0 && !is_open(300) && is_open(301);
		good &= close_range(5, 4, 0) == -1 && errno == EINVAL;
	}
	if (closefrom) {
		closefrom(301);
		good &= !is_open(301) && !is_open(305) && is_open(1);
	}
	return write(1, good ? "fine\n" : "not so\n", 5) != 5;
}
