/* The smallest program of a libc: it is to run under the shim as if nothing were there. */
#include <unistd.h>

int main(void)
{
	return write(1, "fine\n", 5) != 5;
}
