/*
 * An HTTP server that accepts past libc, by the system call itself or by io_uring: nothing that is
 * preloaded sees it.
 *
 *   raw_accept PORT               listens on 127.0.0.1
 *   raw_accept io_uring PORT
 *   raw_accept LISTENER CONN      has a listening socket and a connection from whoever started it
 */
#include "tests/servers/listening.h"

#include <linux/io_uring.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int accept_raw(int listener)
{
#if defined(__x86_64__)
	register long flags __asm__("r10") = 0;
	long result = SYS_accept4;
	__asm__ volatile("syscall"
			 : "+a"(result)
			 : "D"((long)listener), "S"(0L), "d"(0L), "r"(flags)
			 : "rcx", "r11", "memory");
	return (int)result;
#elif defined(__aarch64__)
	register long number __asm__("x8") = SYS_accept4;
	register long x0 __asm__("x0") = listener, x1 __asm__("x1") = 0, x2 __asm__("x2") = 0,
			 x3 __asm__("x3") = 0;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(number), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return (int)x0;
#endif
}

/* ---- io_uring(7), one request at a time ---- */

static struct {
	int fd;
	unsigned *sq_tail, *sq_array, *cq_head;
	unsigned sq_mask, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
} uring;

static void *map(size_t bytes, off_t what)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, uring.fd, what);
}

static int uring_open(void)
{
	struct io_uring_params p = {0};
	uring.fd = (int)syscall(SYS_io_uring_setup, 4, &p);
	if (uring.fd < 0)
		return -1;
	char *sq = map(p.sq_off.array + p.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
	char *cq = map(p.cq_off.cqes + p.cq_entries * sizeof(*uring.cqes), IORING_OFF_CQ_RING);
	uring.sqes = map(p.sq_entries * sizeof(*uring.sqes), IORING_OFF_SQES);
	uring.sq_tail = (unsigned *)(sq + p.sq_off.tail);
	uring.sq_array = (unsigned *)(sq + p.sq_off.array);
	uring.sq_mask = *(unsigned *)(sq + p.sq_off.ring_mask);
	uring.cq_head = (unsigned *)(cq + p.cq_off.head);
	uring.cq_mask = *(unsigned *)(cq + p.cq_off.ring_mask);
	uring.cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
	return 0;
}

static int accept_uring(int listener)
{
	unsigned tail = *uring.sq_tail, at = tail & uring.sq_mask, head = *uring.cq_head;
	uring.sqes[at] = (struct io_uring_sqe){.opcode = IORING_OP_ACCEPT, .fd = listener};
	uring.sq_array[at] = at;
	__atomic_store_n(uring.sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, uring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -1;
	int result = uring.cqes[head & uring.cq_mask].res;
	__atomic_store_n(uring.cq_head, head + 1, __ATOMIC_RELEASE);
	return result;
}

/* Each request, whatever it is, is answered. */
static void *serve(void *arg)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	int fd = (int)(intptr_t)arg;
	char buf[4096];
	ssize_t n;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (n >= 4 && memcmp(buf + n - 4, "\r\n\r\n", 4) == 0 &&
		    write(fd, answer, sizeof(answer) - 1) < 0)
			break;
	close(fd);
	return NULL;
}

static void serve_apart(int fd)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
		pthread_detach(thread);
}

int main(int argc, char **argv)
{
	int (*accept_one)(int) = accept_raw;
	signal(SIGPIPE, SIG_IGN);
	if (argc > 1 && strcmp(argv[1], "io_uring") == 0) {
		accept_one = accept_uring;
		if (uring_open() != 0)
			return 77; /* the kernel does not let us */
		argc--;
		argv++;
	}
	if (argc < 2)
		return 2;
	int listener = argc > 2 ? (int)strtol(argv[1], NULL, 10) : listening_on(argv[1]);
	if (argc > 2 ? listen(listener, 128) != 0 : listener < 0)
		return 1;
	if (argc > 2)
		serve_apart((int)strtol(argv[2], NULL, 10));
	for (int fd; (fd = accept_one(listener)) >= 0;)
		serve_apart(fd);
	return 1;
}
